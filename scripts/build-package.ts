// npm pack: makes dist/, the JavaScript and types of the package, and the copy of package-lock.json that images are built from.
// Nothing in the repository runs from dist/.
import { copyFileSync, cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { run } from "./test-run.ts";

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");
/** Handlers' host, which Python reads beside the compiled worker. */
const python = "services/worker/python";

rmSync(dist, { recursive: true, force: true });
process.exitCode = await run("tsc", ["--project", join(root, "tsconfig.build.json")]);
if (process.exitCode === 0) {
  cpSync(join(root, python), join(dist, python), {
    recursive: true,
    filter: (path) => basename(path) !== "__pycache__",
  });
  // what compiled files read of the package's own package.json stands beside them, as it does in the repository
  const { name, version, type } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Record<
    string,
    string
  >;
  writeFileSync(join(dist, "package.json"), `${JSON.stringify({ name, version, type }, undefined, 2)}\n`);
  // npm packs no package-lock.json that lies beside package.json
  copyFileSync(join(root, "package-lock.json"), join(root, "services", "package-lock.json"));
}
