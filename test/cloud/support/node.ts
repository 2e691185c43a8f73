/** A real node of a test cluster: kubelet, containerd and runc in mount and process namespaces of their own. */
import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { CoreV1Api, type V1Taint } from "@kubernetes/client-node";
import { awaitWith, startProcess, type ClusterProcess } from "./cluster-process.ts";
import type { ControlPlane } from "./control-plane.ts";
import { containerdConfig, containerdSocket, kubeletConfig, networkConfig, type NodePlace } from "./node-config.ts";
import { OUT_OF_SERVICE, uncordon, untaint } from "./node-operations.ts";

const run = promisify(execFile);
const INNER = join(import.meta.dirname, "node-inner.sh");
const READY_SECONDS = 120;

export interface NodeOptions {
  readonly labels?: Readonly<Record<string, string>>;
  readonly taints?: readonly V1Taint[];
  /** Memory that pods cannot have, of the machine's; default 0. Makes a node small. */
  readonly reservedMiB?: number;
}

/**
 * Owns the node's namespaces, control groups and folder. Its name is its address, `127.x.y.N`: the only name with which a
 * kubelet takes a loopback address for its own. Every node sees the whole machine's processors and memory.
 */
export class ClusterNode {
  readonly name: string;
  private readonly place: NodePlace;
  private readonly plane: ControlPlane;
  private inner: ClusterProcess | undefined;

  private constructor(plane: ControlPlane, place: NodePlace) {
    this.name = place.address;
    this.plane = plane;
    this.place = place;
  }

  /**
   * @param number counts the cluster's nodes from 1
   * @param network second and third number of the nodes' addresses
   * @param images tars that its containers may be of
   * @returns once the API server calls it ready
   */
  static async start(
    plane: ControlPlane,
    { number, network, debianRoot }: { number: number; network: readonly [number, number]; debianRoot: string },
    images: readonly string[],
    options: NodeOptions = {},
  ): Promise<ClusterNode> {
    const [second, third] = network.map(String) as [string, string];
    const place: NodePlace = {
      address: `127.${second}.${third}.${String(number)}`,
      folder: join(plane.folder, `node${String(number)}`),
      debianRoot,
      controlGroup: `millrace-${plane.id}-node${String(number)}`,
      bridge: `mr${plane.id}n${String(number)}`,
      podSubnet: `10.${second}.${String(number)}.0/24`,
    };
    const node = new ClusterNode(plane, place);
    await node.writeFiles(options);
    images.forEach((image, at) => {
      copyFileSync(image, join(place.folder, "images", `${String(at)}.tar`));
    });
    await node.boot();
    return node;
  }

  /** As a power cut: kubelet, containerd and every pod's processes are gone at once, and nothing is told to anybody. */
  async crash(): Promise<void> {
    await this.inner?.end("SIGKILL");
    this.inner = undefined;
    const isDead = () => this.processesInPods() === 0 && this.ownProcesses().length === 0;
    await awaitWith(`all of node ${this.name} to be dead`, [], isDead, 10);
  }

  /** Starts it again after a crash, with its images and without the containers of before. */
  async boot(): Promise<void> {
    const { folder, debianRoot } = this.place;
    makeControlGroups(this.place.controlGroup);
    rmSync(join(folder, "run"), { recursive: true, force: true });
    mkdirSync(join(folder, "run"));
    const inner = [INNER, folder, debianRoot, this.plane.programs.kubernetes, this.name];
    this.inner = startProcess({
      name: `node ${this.name}`,
      command: "unshare",
      args: ["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "bash", ...inner],
      logFile: join(folder, "logs", "node.log"),
    });
    await awaitWith(`node ${this.name} to be ready`, [this.inner], () => this.isReady(), READY_SECONDS);
  }

  /** Ends what a test has left of cordons, taints of its own, a frozen kubelet or a crash; at once when there is nothing. */
  async restore(): Promise<void> {
    const { admin } = this.plane;
    await uncordon(admin, this.name);
    await untaint(admin, this.name, OUT_OF_SERVICE.key);
    if (this.inner?.hasEnded() === false) this.thawKubelet();
    else await this.boot();
    await awaitWith(`node ${this.name} to be ready again`, [], () => this.isReady(), READY_SECONDS);
  }

  /** Ends it, and takes it out of the cluster as a cloud does with an instance that is gone. */
  async remove(): Promise<void> {
    await this.crash();
    await this.plane.admin.makeApiClient(CoreV1Api).deleteNode({ name: this.name });
  }

  /** The node's agent stops and hears nothing, as when the node is cut off from Kubernetes; its pods run on. */
  freezeKubelet(): void {
    process.kill(this.kubeletPid(), "SIGSTOP");
  }

  thawKubelet(): void {
    process.kill(this.kubeletPid(), "SIGCONT");
  }

  /** Containers of that image can start from now on. */
  async importImage(tar: string): Promise<void> {
    await this.images("import", tar);
  }

  /**
   * Gives an image that it holds a name by digest too, as one has that was pulled by it.
   * @param repository default: that of the tag
   * @returns `repository@sha256:…`
   */
  async pinImage(tag: string, repository = tag.slice(0, tag.lastIndexOf(":"))): Promise<string> {
    const digest = /sha256:[0-9a-f]{64}/.exec(await this.images("list", `name==${tag}`))?.[0];
    if (digest === undefined) throw new Error(`node ${this.name} has no image ${tag}`);
    const pinned = `${repository}@${digest}`;
    await this.images("tag", "--force", tag, pinned);
    return pinned;
  }

  /** Processes of all its pods together. */
  processesInPods(): number {
    const group = join("/sys/fs/cgroup/memory", this.place.controlGroup);
    const files = readdirSync(group, { recursive: true, encoding: "utf8" }).filter((path) =>
      path.endsWith("cgroup.procs"),
    );
    return files.reduce((sum, path) => sum + linesOf(join(group, path)), 0);
  }

  private async images(...args: readonly string[]): Promise<string> {
    const ctr = join(this.place.debianRoot, "usr/bin/ctr");
    const place = ["--address", containerdSocket(this.place.folder), "--namespace", "k8s.io"];
    return (await run(ctr, [...place, "images", ...args])).stdout;
  }

  private async writeFiles({ labels = {}, taints = [], reservedMiB = 0 }: NodeOptions): Promise<void> {
    const { folder, address } = this.place;
    for (const part of ["images", "logs", "network"]) mkdirSync(join(folder, part), { recursive: true });
    const alternativeNames = [`IP:${address}`];
    const [serving, agent] = await Promise.all([
      this.plane.authority.issue({
        name: `node-${address}`,
        subject: `/CN=${address}`,
        use: "server",
        alternativeNames,
      }),
      this.plane.kubeConfigOfUser(`system:node:${address}`, "system:nodes"),
    ]);
    const trust = { serving, authority: this.plane.authority.certificate };
    const files = {
      kubeconfig: agent.exportConfig(),
      labels: Object.entries(labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(","),
      "containerd.toml": containerdConfig(this.place),
      "kubelet.yaml": kubeletConfig(this.place, trust, reservedMiB, taints),
      "network/10-bridge.conflist": networkConfig(this.place),
    };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 });
  }

  private async isReady(): Promise<boolean> {
    const { status } = await this.plane.admin.makeApiClient(CoreV1Api).readNode({ name: this.name });
    const ready = status?.conditions?.find(({ type }) => type === "Ready");
    return ready?.status === "True";
  }

  /** As this machine counts: the number that the node itself knows is of its own namespace. */
  private kubeletPid(): number {
    const config = join(this.place.folder, "kubelet.yaml");
    const pid = this.ownProcesses().find((one) => argumentsOf(one).includes(config));
    if (pid === undefined) throw new Error(`node ${this.name} has no kubelet`);
    return Number(pid);
  }

  /** Its kubelet, containerd and what stands between that and the containers: all were told its folder. */
  private ownProcesses(): string[] {
    const inFolder = `${this.place.folder}/`;
    const isOwn = (pid: string) => argumentsOf(pid).some((argument) => argument.includes(inFolder));
    return readdirSync("/proc").filter((entry) => /^\d+$/.test(entry) && isOwn(entry));
  }
}

/** One in each hierarchy; the kubelet makes those of its pods below. */
function makeControlGroups(name: string): void {
  for (const hierarchy of controlGroupHierarchies()) {
    const group = join(hierarchy, name);
    removeControlGroups(group);
    mkdirSync(group, { recursive: true });
    if (!hierarchy.endsWith("/cpuset")) continue;
    // a new group has none of either, and would start nothing
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      writeFileSync(join(group, file), readFileSync(join(hierarchy, file), "utf8"));
    }
  }
}

/** Those that a crash left, without which a second start would count the dead. */
function removeControlGroups(group: string): void {
  for (const entry of foldersOf(group)) removeControlGroups(join(group, entry));
  try {
    rmdirSync(group);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

function foldersOf(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

function controlGroupHierarchies(): string[] {
  const mounts = readFileSync("/proc/self/mounts", "utf8").split("\n");
  return mounts.flatMap((line) => {
    const [, folder, kind] = line.split(" ");
    return kind === "cgroup" && folder !== undefined ? [folder] : [];
  });
}

function argumentsOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return []; // ended meanwhile
  }
}

function linesOf(file: string): number {
  try {
    return readFileSync(file, "utf8").split("\n").length - 1;
  } catch {
    return 0; // a group that is being removed holds nothing
  }
}
