/** An autoscaler that plans by what rendered node groups declare, and whose machines are real nodes of a test cluster. */
import { setTimeout as sleep } from "node:timers/promises";
import { CoreV1Api, type V1Pod } from "@kubernetes/client-node";
import { planScaling } from "../../components/scaling/plan-scaling.ts";
import { GPU, type ScalingGroup } from "../../components/scaling/rendered-groups.ts";
import type { Cluster } from "../support/cluster.ts";
import { advertise, cordon, uncordon } from "../support/node-operations.ts";

/** The Cluster Autoscaler's are ten seconds and, as we set it, five minutes. */
const SCAN_SECONDS = 1;
const UNNEEDED_SECONDS = 3;

interface Machine {
  readonly group: ScalingGroup;
  readonly ready: Promise<unknown>;
  /** Of its node, once that is there. */
  name: string | undefined;
}

export interface AutoscalerOptions {
  readonly cluster: Cluster;
  readonly groups: readonly ScalingGroup[];
  /** Whose pods it looks at. */
  readonly namespace: string;
  /** Resolves when device plugins may say which GPUs their nodes have. Default: at once. */
  readonly drivers?: Promise<unknown>;
}

/**
 * Scales from none: it has no machine before a pod waits. A machine registers with the labels and taints of its group's rendered
 * declaration, and says as a device plugin would how many GPUs an instance of the group's type has.
 */
export class Autoscaler {
  /** How many machines there were, one after the other. */
  readonly sizes: number[] = [0];
  /** How often it looked at pods and nodes. */
  scans = 0;
  readonly #options: AutoscalerOptions;
  readonly #core: CoreV1Api;
  readonly #machines = new Set<Machine>();
  readonly #unneededSinceMs = new Map<string, number>();
  readonly #told = new Set<string>();
  readonly #ending = new AbortController();
  #working: Promise<unknown> = Promise.resolve();

  constructor(options: AutoscalerOptions) {
    this.#options = options;
    this.#core = options.cluster.admin.makeApiClient(CoreV1Api);
  }

  get size(): number {
    return this.#machines.size;
  }

  start(): void {
    this.#working = this.#work();
    this.#working.catch(() => undefined); // thrown by `end`
  }

  /** Ends it with all its machines. Throws what it failed of. */
  async end(): Promise<void> {
    this.#ending.abort();
    const outcome = await Promise.allSettled([this.#working, ...[...this.#machines].map(({ ready }) => ready)]);
    for (const machine of [...this.#machines]) await this.#terminate(machine);
    for (const each of outcome) if (each.status === "rejected") throw each.reason;
  }

  async #work(): Promise<void> {
    while (!this.#ending.signal.aborted) {
      await this.#scan();
      this.scans += 1;
      await sleep(1000 * SCAN_SECONDS, undefined, { signal: this.#ending.signal }).catch(() => undefined);
    }
  }

  async #scan(): Promise<void> {
    const { groups } = this.#options;
    const nodes = (await this.#core.listNode()).items;
    const instances = [...this.#machines].map(({ group, name }) => {
      return { group: group.name, node: nodes.find(({ metadata }) => name !== undefined && metadata?.name === name) };
    });
    const plan = planScaling({ groups, instances, pods: await this.#pods() });
    const words = groups.filter(({ name }) => plan.grow.has(name)).map((group) => this.#grow(group, plan.grow));
    for (const pod of plan.helped)
      await this.#tell(pod, "TriggeredScaleUp", `pod triggered scale-up: [${words.join(" ")}]`);
    for (const { pod, reasons } of plan.refused) {
      await this.#tell(pod, "NotTriggerScaleUp", `pod didn't trigger scale-up: ${reasons}`);
    }
    await this.#shrink(plan.unneeded);
  }

  async #pods(): Promise<readonly V1Pod[]> {
    return (await this.#core.listNamespacedPod({ namespace: this.#options.namespace })).items;
  }

  #grow(group: ScalingGroup, grow: ReadonlyMap<string, number>): string {
    const before = [...this.#machines].filter((machine) => machine.group === group).length;
    const after = before + (grow.get(group.name) ?? 0);
    for (let at = before; at < after; at += 1) this.#launch(group);
    this.sizes.push(this.size);
    return `{${group.name} ${String(before)}->${String(after)} (max: ${String(group.nodesMax)})}`;
  }

  #launch(group: ScalingGroup): void {
    const { cluster, drivers } = this.#options;
    const { gpus, labels, taints } = group.instance;
    const up = async () => {
      const { name } = await cluster.addNode({ labels, taints });
      machine.name = name;
      await drivers;
      if (gpus > 0) await advertise(cluster.admin, name, GPU, gpus);
    };
    // started in a turn of its own, when it is known
    const ready = Promise.resolve().then(up);
    const machine: Machine = { group, ready, name: undefined };
    ready.catch(() => undefined); // thrown by `end`
    this.#machines.add(machine);
  }

  async #shrink(unneeded: readonly string[]): Promise<void> {
    for (const name of this.#unneededSinceMs.keys()) if (!unneeded.includes(name)) this.#unneededSinceMs.delete(name);
    for (const machine of [...this.#machines]) {
      const { name } = machine;
      if (name === undefined || !unneeded.includes(name)) continue;
      const sinceMs = this.#unneededSinceMs.get(name) ?? performance.now();
      this.#unneededSinceMs.set(name, sinceMs);
      if (performance.now() - sinceMs < 1000 * UNNEEDED_SECONDS) continue;
      await cordon(this.#options.cluster.admin, name);
      // a pod that was bound before that keeps its node
      const bound = (await this.#pods()).filter(({ spec }) => spec?.nodeName === name);
      if (bound.length === 0) await this.#terminate(machine);
      else await uncordon(this.#options.cluster.admin, name);
    }
  }

  async #terminate(machine: Machine): Promise<void> {
    if (machine.name !== undefined) await this.#options.cluster.node(machine.name).remove();
    this.#machines.delete(machine);
    this.sizes.push(this.size);
  }

  /** Once. */
  async #tell({ metadata }: V1Pod, reason: string, message: string): Promise<void> {
    const { name = "", namespace = "", uid = "" } = metadata ?? {};
    if (this.#told.has(`${uid} ${message}`)) return;
    this.#told.add(`${uid} ${message}`);
    await this.#core.createNamespacedEvent({
      namespace,
      body: {
        metadata: { generateName: `${name}-` },
        involvedObject: { kind: "Pod", namespace, name, uid },
        ...{ reason, message, type: "Normal", lastTimestamp: new Date() },
      },
    });
  }
}
