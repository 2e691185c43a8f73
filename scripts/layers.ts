/**
 * The layers of tests, fast ones first. A layer is a folder: what lies in none of the folders named here is a unit test.
 * `docs/testing.md` says what each layer proves and what it cannot.
 */
export const layers = {
  unit: { folder: "test", timeoutSeconds: 15, alone: false },
  contracts: { folder: "test/contracts", timeoutSeconds: 30, alone: false },
  simulation: { folder: "test/simulation", timeoutSeconds: 120, alone: false },
  /** Real processes, signals and ports: one file at a time, after all others, so that time limits mean something on two cores. */
  system: { folder: "test/system", timeoutSeconds: 180, alone: true },
} as const satisfies Record<string, { folder: string; timeoutSeconds: number; alone: boolean }>;

/** A layer that vitest runs. */
export type VitestLayer = keyof typeof layers;
/** A layer of the whole run; `python` is pytest's. */
export type Layer = VitestLayer | "python";

export const vitestLayers = Object.keys(layers) as readonly VitestLayer[];
export const allLayers: readonly Layer[] = [...vitestLayers, "python"];

/** The layer of a test file, by its path from the repository's root. */
export function layerOf(path: string): VitestLayer {
  const inFolder = vitestLayers.find((layer) => layer !== "unit" && path.startsWith(`${layers[layer].folder}/`));
  return inFolder ?? "unit";
}
