import { defineConfig } from "vitest/config";
import { layers, vitestLayers } from "./scripts/layers.ts";

const otherFolders = vitestLayers.filter((layer) => layer !== "unit").map((layer) => `${layers[layer].folder}/**`);

export default defineConfig({
  test: {
    // the machine that this is promised for has two cores
    maxWorkers: 2,
    projects: vitestLayers.map((name) => ({
      test: {
        name,
        include: [`${layers[name].folder}/**/*.test.ts`],
        exclude: name === "unit" ? otherFolders : [],
        testTimeout: layers[name].timeoutSeconds * 1000,
        hookTimeout: layers[name].timeoutSeconds * 1000,
        fileParallelism: !layers[name].alone,
        sequence: { groupOrder: layers[name].alone ? 1 : 0 },
      },
    })),
  },
});
