import { existsSync, readFileSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type CacheEntry, keyOf, runTool } from "./cache-entry.ts";

/** What a real node needs beside kubelet. Their libraries are on every Debian; nothing is installed on the machine. */
const packages = ["busybox-static", "containerd", "containernetworking-plugins", "runc"];

/** @throws {Error} in one sentence, when the machine has no apt */
export function debianEntry(): CacheEntry {
  const release = "/etc/os-release";
  if (!["/usr/bin/apt-get", "/usr/bin/dpkg-deb"].every((path) => existsSync(path)))
    throw new Error("real nodes need packages of Debian or Ubuntu: there is no apt-get and dpkg-deb on this machine");
  return {
    folder: `debian-${keyOf([...packages, readFileSync(release, "utf8"), process.arch])}`,
    what: `downloading ${packages.join(", ")} (nothing is installed), under a minute`,
    async make(into, scratch) {
      // lists and archives of its own: the machine's may be missing or old, and are not ours to change
      const [state, archives] = [join(scratch, "apt-state"), join(scratch, "apt-archives")];
      await mkdir(join(state, "lists", "partial"), { recursive: true });
      await mkdir(archives, { recursive: true });
      const options = [
        `Dir::State=${state}`,
        `Dir::State::status=/var/lib/dpkg/status`,
        `Dir::Cache=${join(scratch, "apt-cache")}`,
        "APT::Sandbox::User=root",
      ].flatMap((option) => ["-o", option]);
      await runTool("apt-get", ["update", "--quiet", ...options], {});
      await runTool("apt-get", ["download", "--quiet", ...options, ...packages], { cwd: archives });
      const root = join(into, "root");
      await mkdir(root);
      for (const name of await readdir(archives)) await runTool("dpkg-deb", ["-x", join(archives, name), root], {});
    },
  };
}
