import { join } from "node:path";

/** The interpreter of a made environment; see `VenvEnvironments`. Apart from it, because each worker's start asks. */
export function environmentPython(root: string, key: string): string {
  return join(root, "environments", key, "current", "bin", "python");
}
