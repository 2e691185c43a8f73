import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

interface LockedPackage {
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly resolved?: string;
}

const text = readFileSync(join(import.meta.dirname, "../../package-lock.json"), "utf8");
const packages = Object.entries((JSON.parse(text) as { packages: Record<string, LockedPackage> }).packages);
const paths = new Set(packages.map(([path]) => path));

/** Node's way: beside the package that asks, then beside each folder above it. */
function isLocked(asker: string, name: string): boolean {
  const folders = asker.split("/node_modules/").map((_, at, parts) => parts.slice(0, at + 1).join("/node_modules/"));
  return paths.has(`node_modules/${name}`) || folders.some((folder) => paths.has(`${folder}/node_modules/${name}`));
}

describe("package-lock.json", () => {
  it("names the packages for other machines too, for `npm ci` refuses a lock that leaves one out", () => {
    const missing = packages.flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies)
        .filter((name) => !isLocked(path, name))
        .map((name) => `${path} asks for ${name}`),
    );

    expect(missing).toEqual([]);
  });

  it("names no host to fetch packages from", () => {
    expect(packages.filter(([, { resolved }]) => resolved !== undefined).map(([path]) => path)).toEqual([]);
  });
});
