/**
 * A node in name only, for machines that forbid real ones: it registers with the API server, and runs the containers of
 * its pods as processes of this machine. No images, no limits of memory, no users, no network of their own: what a test
 * proves on it counts for less, which `npm run test:cloud` says.
 */
import {
  CoordinationV1Api,
  CoreV1Api,
  PatchStrategy,
  Watch,
  setHeaderOptions,
  type KubeConfig,
  type V1Pod,
} from "@kubernetes/client-node";
import { setTimeout as sleep } from "node:timers/promises";
import type { ControlPlane } from "./control-plane.ts";
import { ProcessPod, type CommandOf } from "./process-pod.ts";

const MERGE = setHeaderOptions("Content-Type", PatchStrategy.MergePatch);
const LEASE_NAMESPACE = "kube-node-lease";
const LEASE_SECONDS = 10;
const BEAT_SECONDS = 2.5;
const RETRY_SECONDS = 0.5;
const RESOURCES = { cpu: "4", memory: "8Gi", pods: "50", "ephemeral-storage": "10Gi" };

export interface ProcessNodeOptions {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Default: the pod's `command` and `args` as they are. */
  readonly commandOf?: CommandOf;
}

/** Resolves when the node is registered and its pods are watched. */
export async function startProcessNode(plane: ControlPlane, options: ProcessNodeOptions): Promise<ProcessNode> {
  const config = await plane.kubeConfigOfUser(`system:node:${options.name}`, "system:nodes");
  const node = new ProcessNode(config, options);
  await node.register();
  return node;
}

export class ProcessNode {
  readonly name: string;
  private readonly options: ProcessNodeOptions;
  private readonly config: KubeConfig;
  private readonly core: CoreV1Api;
  private readonly pods = new Map<string, ProcessPod>();
  private readonly ending = new AbortController();
  private working: Promise<unknown> = Promise.resolve();

  constructor(config: KubeConfig, options: ProcessNodeOptions) {
    this.config = config;
    this.options = options;
    this.name = options.name;
    this.core = config.makeApiClient(CoreV1Api);
  }

  async register(): Promise<void> {
    const labels = { "kubernetes.io/hostname": this.name, "kubernetes.io/os": "linux", ...this.options.labels };
    await this.core.createNode({ body: { metadata: { name: this.name, labels } } });
    await this.beat();
    this.working = Promise.all([
      this.repeat(BEAT_SECONDS, () => this.beat()),
      this.repeat(RETRY_SECONDS, () => this.follow()),
    ]);
  }

  /** Its pods' processes are killed and it falls silent, as with a crash. */
  async crash(): Promise<void> {
    this.ending.abort();
    await Promise.all([...this.pods.values()].map((pod) => pod.kill()));
    await this.working;
  }

  /** Says that it is alive: its lease, and its state. */
  private async beat(): Promise<void> {
    await this.renewLease();
    const at = new Date();
    const healthy = ["MemoryPressure", "DiskPressure", "PIDPressure"].map((type) => ({ type, status: "False" }));
    const conditions = [{ type: "Ready", status: "True" }, ...healthy].map((condition) => ({
      ...condition,
      reason: "ProcessNode",
      message: "pods are processes",
      lastHeartbeatTime: at,
    }));
    const addresses = [{ type: "InternalIP", address: "127.0.0.1" }];
    const body = { status: { capacity: RESOURCES, allocatable: RESOURCES, addresses, conditions } };
    await this.core.patchNodeStatus({ name: this.name, body }, MERGE);
  }

  private async renewLease(): Promise<void> {
    const leases = this.config.makeApiClient(CoordinationV1Api);
    const renewTime = new Date().toISOString().replace("Z", "000Z");
    const spec = { holderIdentity: this.name, leaseDurationSeconds: LEASE_SECONDS, renewTime };
    const at = { namespace: LEASE_NAMESPACE, name: this.name };
    try {
      await leases.patchNamespacedLease({ ...at, body: { spec } }, MERGE);
    } catch (error) {
      if ((error as { code?: unknown }).code !== 404) throw error;
      const { renewTime: _later, ...first } = spec;
      await leases.createNamespacedLease({
        namespace: LEASE_NAMESPACE,
        body: { metadata: { name: this.name }, spec: first },
      });
    }
  }

  /** Lists its pods and watches them; returns when the watch ends, after which it lists again. */
  private async follow(): Promise<void> {
    const fieldSelector = `spec.nodeName=${this.name}`;
    const listed = await this.core.listPodForAllNamespaces({ fieldSelector });
    for (const pod of listed.items) this.see(pod);
    const known = new Set(listed.items.map(({ metadata }) => metadata?.uid));
    for (const [uid, pod] of this.pods) if (!known.has(uid)) this.forget(uid, pod);
    await new Promise<void>((resolve, reject) => {
      const query = { fieldSelector, resourceVersion: listed.metadata?.resourceVersion };
      const onEvent = (kind: string, pod: V1Pod) => {
        const own = this.pods.get(pod.metadata?.uid ?? "");
        if (kind === "DELETED" && own !== undefined) this.forget(pod.metadata?.uid ?? "", own);
        else if (kind === "ADDED" || kind === "MODIFIED") this.see(pod);
      };
      const watching = new Watch(this.config).watch("/api/v1/pods", query, onEvent, () => {
        resolve();
      });
      watching.then((controller) => {
        this.ending.signal.addEventListener("abort", () => {
          controller.abort();
        });
      }, reject);
    });
  }

  private see(pod: V1Pod): void {
    const uid = pod.metadata?.uid ?? "";
    const own = this.pods.get(uid);
    const isOver = pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
    if (own !== undefined) {
      if (pod.metadata?.deletionTimestamp !== undefined) own.end(pod.metadata.deletionGracePeriodSeconds ?? 30);
    } else if (!isOver || pod.metadata?.deletionTimestamp !== undefined) {
      this.pods.set(uid, new ProcessPod(this.core, pod, this.options.commandOf ?? asWritten));
    }
  }

  private forget(uid: string, pod: ProcessPod): void {
    this.pods.delete(uid);
    void pod.kill();
  }

  /** An API server that is away for a while is no reason to stop: the next turn asks again. */
  private async repeat(seconds: number, turn: () => Promise<void>): Promise<void> {
    while (!this.ending.signal.aborted) {
      await turn().catch(() => undefined);
      await sleep(seconds * 1000, undefined, { signal: this.ending.signal }).catch(() => undefined);
    }
  }
}

const asWritten: CommandOf = (_image, command) => command;
