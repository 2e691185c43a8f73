import { describe, expect, it } from "vitest";
import { allLayers, layerOf, layersOf, vitestProjects } from "../../scripts/layers.ts";

describe("the layers of tests", () => {
  it("are each run by one command", () => {
    expect([...layersOf("test"), ...layersOf("test:cloud")].toSorted()).toEqual(allLayers.toSorted());
  });

  it("take a test by the innermost folder that they name", () => {
    expect(layerOf("test/tidy.test.ts")).toBe("unit");
    expect(layerOf("test/protocol/fold.test.ts")).toBe("unit");
    expect(layerOf("test/system/kill.test.ts")).toBe("system");
    expect(layerOf("test/cloud/object-store.test.ts")).toBe("cloud");
    expect(layerOf("test/cloud/cluster/drain.test.ts")).toBe("cluster");
  });

  it("leave to each other what lies in a folder inside their own", () => {
    const excludes = (command: "test" | "test:cloud"): Map<string, string[]> =>
      new Map(vitestProjects(command).map(({ test }) => [test.name, test.exclude]));

    expect(excludes("test").get("unit")).toEqual(expect.arrayContaining(["test/system/**", "test/cloud/**"]));
    expect(excludes("test:cloud").get("cloud")).toEqual(["test/cloud/cluster/**"]);
    expect(excludes("test:cloud").get("cluster")).toEqual([]);
  });

  it("start no server of the cloud with npm test", () => {
    expect(vitestProjects("test").map(({ test }) => test.name)).toEqual([
      "unit",
      "contracts",
      "simulation",
      "sweep",
      "mutants",
      "system",
    ]);
  });
});
