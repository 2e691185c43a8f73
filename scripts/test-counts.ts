import type { Layer } from "./layers.ts";

/** What happened to the tests of one layer. `skipped` names each test that did not run (skipped or still to be written). */
export interface LayerCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: readonly string[];
}

/** `test/floors.json`: how many tests each layer must run at least, and the full names of tests that may be skipped. */
export interface Floors {
  readonly testsAtLeast: Readonly<Record<Layer, number>>;
  readonly mayBeSkipped: readonly string[];
}

const none: LayerCounts = { passed: 0, failed: 0, skipped: [] };

/**
 * Why a run in which each test passed still fails, a sentence each: too few tests in a layer, or a skip that nobody allowed. A test
 * whose skip is allowed counts as there.
 *
 * @param asked the layers that the run was about
 * @param mayBeSkippedHere whether this machine allows a skip that the floors do not name
 */
export function faultsOf(
  counts: ReadonlyMap<Layer, LayerCounts>,
  floors: Floors,
  asked: readonly Layer[],
  mayBeSkippedHere: (fullName: string) => boolean = () => false,
): string[] {
  return asked.flatMap((layer) => {
    const { passed, failed, skipped } = counts.get(layer) ?? none;
    const floor = floors.testsAtLeast[layer];
    const notAllowed = skipped.filter((name) => !floors.mayBeSkipped.includes(name) && !mayBeSkippedHere(name));
    const there = passed + failed + skipped.length - notAllowed.length;
    const short = `layer ${layer} ran ${String(there)} tests, test/floors.json asks for ${String(floor)} at least`;
    return [
      ...(there < floor ? [`${short}: bring them back, or lower the number in a commit that says why`] : []),
      ...notAllowed.map(
        (name) => `layer ${layer} skipped "${name}": run it, or name it under mayBeSkipped in test/floors.json`,
      ),
    ];
  });
}

/** The floors after a good run: today's counts where they are higher, never lower. */
export function raised(floors: Floors, counts: ReadonlyMap<Layer, LayerCounts>): Floors {
  const testsAtLeast = { ...floors.testsAtLeast };
  for (const layer of counts.keys())
    testsAtLeast[layer] = Math.max(testsAtLeast[layer], (counts.get(layer) ?? none).passed);
  return { ...floors, testsAtLeast };
}

/** The table of counts, the faults, and last the plain closing line; a fault counts as failed, so that the line never looks better than the run. */
export function summaryLines(
  layers: readonly Layer[],
  counts: ReadonlyMap<Layer, LayerCounts>,
  floors: Floors,
  faults: readonly string[],
): string[] {
  const rows = layers.map((layer) => ({ layer, ...(counts.get(layer) ?? none) }));
  const cells = rows.map((row) => [row.passed, row.failed, row.skipped.length, floors.testsAtLeast[row.layer]]);
  const line = (name: string, values: readonly (string | number)[]): string =>
    name.padEnd(12) + values.map((value) => String(value).padStart(9)).join("");
  const total = (column: number): number => cells.reduce((sum, row) => sum + (row[column] ?? 0), 0);
  const skipped = total(2) > 0 ? `, ${String(total(2))} skipped` : "";
  return [
    "",
    line("layer", ["passed", "failed", "skipped", "floor"]),
    ...rows.map((row, at) => line(row.layer, cells[at] ?? [])),
    "",
    ...faults.map((fault) => `FAILED: ${fault}`),
    `${String(total(0))} passed, ${String(total(1) + faults.length)} failed${skipped}`,
  ];
}
