import { join } from "node:path";
import { cacheFolder, ensureEntries } from "./cache-entry.ts";
import { debianEntry } from "./debian-root.ts";
import { binaryNames, goEntry, goToolchain, type BinaryName } from "./go-build.ts";

/** The folder that keeps what the cloud tests need and this repository does not hold. It may be removed whenever no test runs. */
export function serversCache(): string {
  return cacheFolder(process.env);
}

/**
 * The path of a server's static executable. Quick when it is in the cache; otherwise it is built, which takes minutes (`npm run test:cloud`
 * does that before its first test). `kubernetes` is one program whose first argument names the part: `kube-apiserver`,
 * `kube-controller-manager`, `kube-scheduler`, `kubelet`, `kubectl`.
 *
 * @throws {Error} with the fix, when there is no Go or the build failed
 */
export async function ensureBinary(name: BinaryName): Promise<string> {
  const [folder] = await ensureEntries(serversCache(), [goEntry(name, await goToolchain(process.env))]);
  return join(folder, name);
}

/** Builds what is missing of all servers in one go, so that they share what they compile. */
export async function ensureBinaries(): Promise<void> {
  const toolchain = await goToolchain(process.env);
  await ensureEntries(
    serversCache(),
    binaryNames.map((name) => goEntry(name, toolchain)),
  );
}

/**
 * A folder with Debian's packages for real nodes unpacked into it (`usr/bin/containerd`, `usr/sbin/runc`, `usr/lib/cni/bridge`,
 * `bin/busybox`, …); nothing is installed on the machine. Downloaded when it is not in the cache.
 *
 * @throws {Error} with the fix, when the machine has no apt or the download failed
 */
export async function ensureDebianRoot(): Promise<string> {
  const [folder] = await ensureEntries(serversCache(), [debianEntry()]);
  return join(folder, "root");
}
