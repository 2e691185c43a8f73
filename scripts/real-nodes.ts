import { accessSync, constants, existsSync, readFileSync } from "node:fs";

/** The first words of a test's full name when it needs real Kubernetes nodes: it may be skipped on a machine that forbids them. */
export const realNodesPrefix = "on real nodes";

/** What a kubelet and a container runtime write below; the controllers of cgroup v1. */
const controllers = ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd"];
/** The bit of CAP_SYS_ADMIN in the kernel's masks: linux/capability.h. */
const sysAdminBit = 21n;

/**
 * Why real Kubernetes nodes (kubelet, containerd, runc) cannot run here, in words; undefined when they can.
 *
 * @param environment `MILLRACE_TEST_NODES=none` forbids them anywhere, to see what is tested without
 */
export function whyNoRealNodes(environment: NodeJS.ProcessEnv): string | undefined {
  if (environment["MILLRACE_TEST_NODES"] === "none") return "MILLRACE_TEST_NODES is none";
  if (process.platform !== "linux") return "they need Linux";
  if (process.getuid?.() !== 0) return "they need root";
  if (!hasCapability(readFileSync("/proc/self/status", "utf8"), sysAdminBit)) return "they need CAP_SYS_ADMIN";
  const closed = controllers.find((controller) => !isWritable(`/sys/fs/cgroup/${controller}`));
  if (closed !== undefined) return `they need to write to /sys/fs/cgroup/${closed} (cgroup v1)`;
  const missing = ["/usr/bin/apt-get", "/usr/bin/dpkg-deb"].find((path) => !existsSync(path));
  return missing === undefined ? undefined : `they need packages of Debian or Ubuntu, and there is no ${missing}`;
}

/** Whether a capability is among the effective ones of `/proc/<pid>/status`. */
export function hasCapability(status: string, bit: bigint): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0";
  return ((BigInt(`0x${mask}`) >> bit) & 1n) === 1n;
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false; // missing or read-only: either way there is no node
  }
}
