/** Cleans up after a test cluster, also when the process that started it is killed. */
import { spawn } from "node:child_process";
import { join } from "node:path";

const SCRIPT = join(import.meta.dirname, "reaper.sh");

export interface Reaper {
  /**
   * Removes the cluster's folder, control groups and network links.
   * @throws naming what could not be removed.
   */
  reap(): Promise<void>;
}

/** `id` is the part of the names of control groups (`millrace-<id>-…`) and links (`mr<id>…`) that is this cluster's alone. */
export function startReaper(folder: string, id: string): Reaper {
  const child = spawn("sh", [SCRIPT, folder, id], { detached: true, cwd: "/", stdio: ["pipe", "ignore", "pipe"] });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  // it alone must not keep a test's process alive
  child.unref();
  return {
    reap: async () => {
      child.ref();
      child.stdin.end();
      if ((await ended) !== 0) throw new Error(errors.trim());
    },
  };
}
