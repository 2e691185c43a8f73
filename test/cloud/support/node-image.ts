/** What an image needs so that its programs can be JavaScript: this Node and the libraries that it loads. */
import { execFileSync } from "node:child_process";
import { realpathSync } from "node:fs";
import type { ImageContent } from "./oci-image.ts";

export const NODE_PATH = "/usr/local/bin/node";

/** The Node that runs the test, at `NODE_PATH`, and its libraries where it looks for them. */
export function nodeRuntime(): ImageContent[] {
  // "libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x…)", and the loader without an arrow
  const lines = execFileSync("ldd", [process.execPath], { encoding: "utf8" }).split("\n");
  const libraries = lines.flatMap((line) => /(?:=> |^\s+)(\/\S+) \(/.exec(line)?.[1] ?? []);
  return [
    { path: NODE_PATH, from: realpathSync(process.execPath) },
    ...libraries.map((path) => ({ path, from: realpathSync(path) })),
  ];
}
