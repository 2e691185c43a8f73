import { allLayers, layerOf, type Layer } from "./layers.ts";
import type { LayerCounts } from "./test-counts.ts";

/** The parts that are read here of what vitest's JSON reporter writes. */
interface VitestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

/**
 * Counts by layer. A file that failed as a whole (it did not import, a hook threw) counts as one failed test, and so does a run that
 * ended badly though no test failed (an unhandled rejection), in `firstLayer`.
 *
 * @param relativeToRoot turns a path of the report into one from the repository's root
 */
export function countsFromVitest(
  report: string,
  exitStatus: number,
  relativeToRoot: (path: string) => string,
  firstLayer: Layer = "unit",
): Map<Layer, LayerCounts> {
  const counts = new Map<Layer, { passed: number; failed: number; skipped: string[] }>();
  for (const { name, status, assertionResults } of (JSON.parse(report) as VitestReport).testResults) {
    const layer = layerOf(relativeToRoot(name));
    const layerCounts = counts.get(layer) ?? { passed: 0, failed: 0, skipped: [] };
    counts.set(layer, layerCounts);
    for (const test of assertionResults) {
      if (test.status === "passed") layerCounts.passed += 1;
      else if (test.status === "failed") layerCounts.failed += 1;
      else layerCounts.skipped.push(test.fullName);
    }
    if (status === "failed" && !assertionResults.some((test) => test.status === "failed")) layerCounts.failed += 1;
  }
  const nothingFailed = [...counts.values()].every((layerCounts) => layerCounts.failed === 0);
  if (exitStatus !== 0 && nothingFailed) {
    const first = counts.get(firstLayer) ?? { passed: 0, failed: 0, skipped: [] };
    counts.set(firstLayer, { ...first, failed: first.failed + 1 });
  }
  return new Map(allLayers.flatMap((layer) => entryOf(layer, counts.get(layer))));
}

function entryOf(layer: Layer, counts: LayerCounts | undefined): [Layer, LayerCounts][] {
  return counts === undefined ? [] : [[layer, counts]];
}

/** Counts of pytest's JUnit file. An error outside a test (collection, a fixture) counts as a failed test. */
export function countsFromPytest(junit: string, exitStatus: number): LayerCounts {
  const suite = /<testsuite [^>]*>/.exec(junit)?.[0] ?? "";
  const count = (attribute: string): number => Number(new RegExp(` ${attribute}="(\\d+)"`).exec(suite)?.[1] ?? 0);
  const cases = junit.matchAll(/<testcase classname="([^"]*)" name="([^"]*)"[^>]*>\s*<skipped/g);
  const skipped = [...cases].map(([, classname = "", name = ""]) => `${classname}.${name}`);
  const failed = count("failures") + count("errors");
  return {
    passed: count("tests") - failed - count("skipped"),
    failed: exitStatus !== 0 && failed === 0 ? 1 : failed,
    skipped,
  };
}
