/** What a test cluster has put on this machine, to see that it is gone. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";

/** Processes, control groups, network links, mounts and the folder that carry the cluster's name. */
export function leavingsOf({ id, folder }: { readonly id: string; readonly folder: string }): string[] {
  const lines = (text: string) => text.split("\n").filter((line) => line !== "");
  const processes = lines(execFileSync("ps", ["-eo", "args"], { encoding: "utf8" }));
  const groups = readdirSync("/sys/fs/cgroup").flatMap((hierarchy) =>
    readdirSync(`/sys/fs/cgroup/${hierarchy}`).map((name) => `${hierarchy}/${name}`),
  );
  return [
    ...processes.filter((line) => line.includes(folder)),
    ...groups.filter((path) => path.includes(`/millrace-${id}-`)),
    ...readdirSync("/sys/class/net").filter((link) => link.startsWith(`mr${id}`)),
    ...lines(readFileSync("/proc/self/mounts", "utf8")).filter((line) => line.includes(folder)),
    ...(existsSync(folder) ? [folder] : []),
  ];
}
