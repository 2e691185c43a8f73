/**
 * The layers of tests, fast ones first. A layer is a folder: a test belongs to the innermost folder that is named here.
 * `docs/testing.md` says what each layer proves and what it cannot.
 */
export const layers = {
  /** Rendering a stack takes a second, and twenty of them where processors are busy. */
  unit: { command: "test", folder: "test", timeoutSeconds: 60, alone: false },
  contracts: { command: "test", folder: "test/contracts", timeoutSeconds: 30, alone: false },
  simulation: { command: "test", folder: "test/simulation", timeoutSeconds: 300, alone: false },
  sweep: { command: "test", folder: "test/sweep", timeoutSeconds: 120, alone: false },
  /** Processes for both processors. */
  mutants: { command: "test", folder: "test/mutants", timeoutSeconds: 240, alone: true },
  /** Real processes, signals and ports: one file at a time, after all others, so that time limits mean something on two cores. */
  system: { command: "test", folder: "test/system", timeoutSeconds: 180, alone: true },
  /** Servers of the cloud's protocols. */
  cloud: { command: "test:cloud", folder: "test/cloud", timeoutSeconds: 240, alone: false },
  /** A whole Kubernetes on this machine. */
  cluster: { command: "test:cloud", folder: "test/cloud/cluster", timeoutSeconds: 600, alone: true },
} as const satisfies Record<string, { command: TestCommand; folder: string; timeoutSeconds: number; alone: boolean }>;

/** A command of `package.json` that runs layers. */
export type TestCommand = "test" | "test:cloud";
/** A layer that vitest runs. */
export type VitestLayer = keyof typeof layers;
/** A layer of a whole run; `python` is pytest's. */
export type Layer = VitestLayer | "python";

const vitestLayers = Object.keys(layers) as readonly VitestLayer[];
export const allLayers: readonly Layer[] = [...vitestLayers, "python"];

/** The layers that a command runs, in the order of the tables that it prints. */
export function layersOf(command: TestCommand): readonly Layer[] {
  return allLayers.filter((layer) => (layer === "python" ? "test" : layers[layer].command) === command);
}

/** The layer of a test file, by its path from the repository's root. */
export function layerOf(path: string): VitestLayer {
  const around = vitestLayers.filter((layer) => path.startsWith(`${layers[layer].folder}/`));
  return around.toSorted((one, other) => layers[other].folder.length - layers[one].folder.length)[0] ?? "unit";
}

/** What vitest must know of a command's layers, for `projects` of its configuration. */
export function vitestProjects(command: TestCommand) {
  const ours = vitestLayers.filter((layer) => layers[layer].command === command);
  return ours.map((name) => {
    const { folder, timeoutSeconds, alone } = layers[name];
    const inside = vitestLayers.filter((other) => layers[other].folder.startsWith(`${folder}/`));
    return {
      test: {
        name,
        include: [`${folder}/**/*.test.ts`],
        exclude: inside.map((other) => `${layers[other].folder}/**`),
        // whole clusters on two shared processors: a test whose time ran out is run once more, and the run says which
        retry: name === "cluster" ? 1 : 0,
        testTimeout: timeoutSeconds * 1000,
        hookTimeout: timeoutSeconds * 1000,
        fileParallelism: !alone,
        sequence: { groupOrder: alone ? 1 : 0 },
      },
    };
  });
}
