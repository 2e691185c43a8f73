import { describe, expect, it } from "vitest";
import { allLayers, layersOf, type Layer } from "../../scripts/layers.ts";
import { type Floors, type LayerCounts, faultsOf, raised, summaryLines } from "../../scripts/test-counts.ts";
import { countsFromPytest, countsFromVitest } from "../../scripts/test-results.ts";

function floors(more: Partial<Record<Layer, number>> = {}, mayBeSkipped: string[] = []): Floors {
  const none = Object.fromEntries(allLayers.map((layer) => [layer, 0])) as Record<Layer, number>;
  return { testsAtLeast: { ...none, ...more }, mayBeSkipped };
}

function counts(layer: Layer, passed: number, failed = 0, skipped: string[] = []): Map<Layer, LayerCounts> {
  return new Map([[layer, { passed, failed, skipped }]]);
}

const ours = layersOf("test");

describe("the floors of the tests", () => {
  it("are kept by a layer that runs as many tests as they ask for", () => {
    expect(faultsOf(counts("unit", 3, 1), floors({ unit: 4 }), ours)).toEqual([]);
  });

  it("fail a layer that runs fewer", () => {
    expect(faultsOf(counts("unit", 3), floors({ unit: 4 }), ours)).toEqual([
      expect.stringContaining("layer unit ran 3 tests, test/floors.json asks for 4 at least"),
    ]);
  });

  it("fail a layer that did not run at all", () => {
    expect(faultsOf(new Map(), floors({ system: 1 }), ours)).toHaveLength(1);
  });

  it("let no test be skipped unless they name it", () => {
    const skipping = counts("system", 1, 0, ["a port in use", "a full disk"]);

    expect(faultsOf(skipping, floors({}, ["a full disk"]), ours)).toEqual([
      expect.stringContaining('skipped "a port in use"'),
    ]);
  });

  it("say nothing of layers that another command runs", () => {
    expect(faultsOf(counts("unit", 4), floors({ unit: 4, cloud: 7 }), ours)).toEqual([]);
    expect(faultsOf(new Map(), floors({ cloud: 7 }), layersOf("test:cloud"))).toHaveLength(1);
  });

  it("count a test as there when its skip is allowed, and only then", () => {
    const skipping = counts("system", 1, 0, ["a full disk"]);

    expect(faultsOf(skipping, floors({ system: 2 }, ["a full disk"]), ours)).toEqual([]);
    expect(faultsOf(skipping, floors({ system: 2 }), ours)).toHaveLength(2);
  });

  it("let a machine skip what it cannot do, and nothing else", () => {
    const skipping = counts("cluster", 0, 0, ["on real nodes: memory", "a drain"]);
    const forbidsNodes = (name: string): boolean => name.startsWith("on real nodes");

    expect(faultsOf(skipping, floors({ cluster: 1 }), layersOf("test:cloud"), forbidsNodes)).toEqual([
      expect.stringContaining('layer cluster skipped "a drain"'),
    ]);
  });

  it("rise to what ran and never fall", () => {
    expect(raised(floors({ unit: 5, python: 2 }), counts("unit", 9)).testsAtLeast).toMatchObject({
      unit: 9,
      python: 2,
    });
  });
});

describe("the closing line", () => {
  it("stands last and alone, with the sums of all layers", () => {
    const both = new Map([...counts("unit", 10), ...counts("python", 5, 2)]);

    expect(summaryLines(["unit", "python"], both, floors(), []).at(-1)).toBe("15 passed, 2 failed");
  });

  it("counts a fault of the run as a failure, and says what was skipped", () => {
    const lines = summaryLines(["unit"], counts("unit", 1, 0, ["x"]), floors(), ["layer unit skipped x"]);

    expect(lines.at(-1)).toBe("1 passed, 1 failed, 1 skipped");
    expect(lines.at(-2)).toBe("FAILED: layer unit skipped x");
  });
});

describe("the counts of vitest", () => {
  const report = (status: string, ...tests: string[]): string =>
    JSON.stringify({
      testResults: [
        {
          name: "/tree/test/system/kill.test.ts",
          status,
          assertionResults: tests.map((test) => ({ status: test, fullName: test })),
        },
      ],
    });
  const read = (text: string, exitStatus: number): Map<Layer, LayerCounts> =>
    countsFromVitest(text, exitStatus, (path) => path.replace("/tree/", ""));

  it("go to the layer of the file's folder", () => {
    expect(read(report("passed", "passed", "todo", "pending"), 0)).toEqual(counts("system", 1, 0, ["todo", "pending"]));
  });

  it("hold a failure for a file that did not even load", () => {
    expect(read(report("failed"), 1)).toEqual(counts("system", 0, 1));
  });

  it("hold that failure in the first layer of the command", () => {
    const path = (name: string): string => name.replace("/tree/", "");

    expect(countsFromVitest(report("passed", "passed"), 1, path, "cloud").get("cloud")?.failed).toBe(1);
  });

  it("hold a failure for a run that ended badly though each test passed", () => {
    expect(read(report("passed", "passed"), 1).get("unit")).toEqual({ passed: 0, failed: 1, skipped: [] });
  });
});

describe("the counts of pytest", () => {
  const junit = (attributes: string, cases = ""): string =>
    `<testsuites><testsuite name="pytest" ${attributes}>${cases}</testsuite></testsuites>`;

  it("are read from its JUnit file", () => {
    const cases = '<testcase classname="test_x" name="test_a" time="0.1"><skipped type="s"/></testcase>';

    expect(countsFromPytest(junit('errors="1" failures="2" skipped="1" tests="9"', cases), 1)).toEqual({
      passed: 5,
      failed: 3,
      skipped: ["test_x.test_a"],
    });
  });

  it("hold a failure when pytest itself broke", () => {
    expect(countsFromPytest(junit('errors="0" failures="0" skipped="0" tests="0"'), 3).failed).toBe(1);
  });
});
