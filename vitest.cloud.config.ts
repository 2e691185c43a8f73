// The layers of `npm run test:cloud`, apart from vitest.config.ts: nothing here may start by itself with `vitest run`.
import { defineConfig } from "vitest/config";
import { vitestProjects } from "./scripts/layers.ts";

export default defineConfig({ test: { maxWorkers: 2, projects: vitestProjects("test:cloud") } });
