import { describe, expect, it } from "vitest";
import { packagesOutOfStep, toolsFirst } from "../../scripts/setup.mjs";

const lock = {
  packages: {
    "": { version: "0.1.0" },
    "node_modules/fastify": { version: "5.0.0", integrity: "sha512-a" },
    "node_modules/vitest": { version: "5.0.0", integrity: "sha512-b", dev: true },
    "node_modules/fsevents": { version: "2.0.0", integrity: "sha512-c", optional: true },
  },
};
const onlyFastify = { packages: { "node_modules/fastify": { version: "5.0.0", integrity: "sha512-a" } } };

describe("packagesOutOfStep", () => {
  it("asks nothing more of a folder that holds what running needs", () => {
    expect(packagesOutOfStep(lock, onlyFastify, "running")).toEqual([]);
  });

  it("asks for the packages of tests and checks too when developing, but never for another machine's", () => {
    expect(packagesOutOfStep(lock, onlyFastify, "developing")).toEqual(["node_modules/vitest"]);
  });

  it("sees another version, and other bytes under the same version", () => {
    const older = { packages: { "node_modules/fastify": { version: "4.0.0", integrity: "sha512-a" } } };
    const changed = { packages: { "node_modules/fastify": { version: "5.0.0", integrity: "sha512-x" } } };

    expect(packagesOutOfStep(lock, older, "running")).toEqual(["node_modules/fastify"]);
    expect(packagesOutOfStep(lock, changed, "running")).toEqual(["node_modules/fastify"]);
  });
});

describe("toolsFirst", () => {
  it("puts the tools from npm before the machine's, once", () => {
    expect(toolsFirst("/tree", { PATH: "/tree/node_modules/.bin:/usr/bin" }).PATH).toBe(
      "/tree/node_modules/.bin:/usr/bin",
    );
  });
});
