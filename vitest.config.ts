import { defineConfig } from "vitest/config";
import { vitestProjects } from "./scripts/layers.ts";

export default defineConfig({
  test: {
    // the machine that this is promised for has two cores
    maxWorkers: 2,
    projects: vitestProjects("test"),
  },
});
