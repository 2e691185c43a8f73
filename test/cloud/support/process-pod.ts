/** A pod of a process node: its containers are processes of this machine, each in a process group of its own. */
import { spawn, type ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import {
  PatchStrategy,
  setHeaderOptions,
  type CoreV1Api,
  type V1Container,
  type V1ContainerStatus,
  type V1EnvVar,
  type V1Pod,
} from "@kubernetes/client-node";

/** By type and name: a condition that another wrote, as DisruptionTarget, stays. */
const STRATEGIC = setHeaderOptions("Content-Type", PatchStrategy.StrategicMergePatch);
const EXIT_OF_SIGNAL = { SIGKILL: 137, SIGTERM: 143 } as Readonly<Record<string, number>>;
const START_ERROR_EXIT = 128;

/** Turns a container's command, as its image would have it, into one of this machine. */
export type CommandOf = (image: string, command: readonly string[]) => readonly string[];

/** Runs at once, writes the pod's status as a kubelet does, and deletes the pod for good when it was asked to and is over. */
export class ProcessPod {
  private readonly core: CoreV1Api;
  private readonly pod: V1Pod;
  private readonly at: { readonly namespace: string; readonly name: string };
  private readonly startedAt = new Date();
  private readonly children: ChildProcess[] = [];
  private readonly statuses = new Map<string, V1ContainerStatus>();
  private readonly over: Promise<void>;
  private ending = false;

  constructor(core: CoreV1Api, pod: V1Pod, commandOf: CommandOf) {
    this.core = core;
    this.pod = pod;
    this.at = { namespace: pod.metadata?.namespace ?? "", name: pod.metadata?.name ?? "" };
    this.over = pod.metadata?.deletionTimestamp === undefined ? this.run(commandOf) : Promise.resolve();
    if (pod.metadata?.deletionTimestamp !== undefined) this.end(0);
  }

  /** SIGTERM, SIGKILL after the grace, and then the pod's object goes. */
  end(graceSeconds: number): void {
    if (this.ending) return;
    this.ending = true;
    this.signal("SIGTERM");
    const patience = new AbortController();
    void sleep(graceSeconds * 1000, undefined, { signal: patience.signal }).then(
      () => {
        this.signal("SIGKILL");
      },
      () => undefined,
    );
    void this.over.then(async () => {
      patience.abort();
      const body = { gracePeriodSeconds: 0, preconditions: { uid: this.pod.metadata?.uid ?? "" } };
      // already gone, or the API server is away: it is asked again when the node lists its pods
      await this.core.deleteNamespacedPod({ ...this.at, body }).catch(() => undefined);
    });
  }

  /** Without a word to anybody; resolves when its processes are dead. */
  async kill(): Promise<void> {
    this.ending = true;
    this.signal("SIGKILL");
    await Promise.all(this.children.map(closed));
  }

  private async run(commandOf: CommandOf): Promise<void> {
    const containers = this.pod.spec?.containers ?? [];
    const exits = containers.map((container) => this.start(container, commandOf));
    await this.tell("Running");
    const codes = await Promise.all(exits);
    await this.tell(codes.every((code) => code === 0) ? "Succeeded" : "Failed");
  }

  private async start(container: V1Container, commandOf: CommandOf): Promise<number> {
    const image = container.image ?? "";
    const written = [...(container.command ?? []), ...(container.args ?? [])];
    const [command = "", ...args] = commandOf(image, written);
    const startedAt = new Date();
    const containerID = `process://${this.pod.metadata?.uid ?? ""}/${container.name}`;
    const facts = { name: container.name, image, imageID: image, restartCount: 0, containerID };
    const child = spawn(command, args, { env: this.environment(container), stdio: "ignore", detached: true });
    this.children.push(child);
    this.statuses.set(container.name, { ...facts, ready: true, started: true, state: { running: { startedAt } } });
    const exitCode = await closed(child);
    const reason = exitCode === 0 ? "Completed" : exitCode === START_ERROR_EXIT ? "StartError" : "Error";
    const terminated = { exitCode, reason, startedAt, finishedAt: new Date(), containerID };
    this.statuses.set(container.name, { ...facts, ready: false, started: false, state: { terminated } });
    return exitCode;
  }

  private environment(container: V1Container): NodeJS.ProcessEnv {
    const values = (container.env ?? []).map((variable) => [variable.name, this.valueOf(variable)]);
    return { PATH: process.env["PATH"], HOSTNAME: this.at.name, ...(Object.fromEntries(values) as NodeJS.ProcessEnv) };
  }

  private valueOf({ value, valueFrom }: V1EnvVar): string {
    const path = valueFrom?.fieldRef?.fieldPath;
    if (path === undefined) return value ?? "";
    const { metadata, spec } = this.pod;
    const [, map, key = ""] = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path) ?? [];
    if (map !== undefined) return (map === "labels" ? metadata?.labels : metadata?.annotations)?.[key] ?? "";
    const plain: Readonly<Record<string, string | undefined>> = {
      "metadata.name": metadata?.name,
      "metadata.namespace": metadata?.namespace,
      "metadata.uid": metadata?.uid,
      "spec.nodeName": spec?.nodeName,
      "status.podIP": "127.0.0.1",
      "status.hostIP": "127.0.0.1",
    };
    return plain[path] ?? "";
  }

  private signal(signal: NodeJS.Signals): void {
    for (const { pid, exitCode, signalCode } of this.children) {
      if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, signal);
    }
  }

  private async tell(phase: "Running" | "Succeeded" | "Failed"): Promise<void> {
    const ready = phase === "Running" ? "True" : "False";
    const conditions = [
      { type: "Initialized", status: "True" },
      { type: "ContainersReady", status: ready },
      { type: "Ready", status: ready },
    ];
    const status = {
      phase,
      conditions,
      startTime: this.startedAt,
      hostIP: "127.0.0.1",
      podIP: "127.0.0.1",
      podIPs: [{ ip: "127.0.0.1" }],
      containerStatuses: [...this.statuses.values()],
    };
    const body = { metadata: { uid: this.pod.metadata?.uid }, status };
    await this.untilHeard(() => this.core.patchNamespacedPodStatus({ ...this.at, body }, STRATEGIC));
  }

  /** Again while the API server is away: a state that it never hears of would hang the pod's Job. */
  private async untilHeard(say: () => Promise<unknown>): Promise<void> {
    for (;;) {
      const isOver = await say().then(
        () => true,
        // an answer of Kubernetes is final: the pod is gone, or another's by now
        (error: unknown) =>
          (error as { code?: unknown }).code !== undefined && typeof (error as { code: unknown }).code === "number",
      );
      if (isOver) return;
      await sleep(500);
    }
  }
}

/** The exit code; 128 + n for a signal, 128 when it could not be started. */
function closed(child: ChildProcess): Promise<number> {
  if (child.exitCode !== null) return Promise.resolve(child.exitCode);
  if (child.signalCode !== null) return Promise.resolve(EXIT_OF_SIGNAL[child.signalCode] ?? START_ERROR_EXIT);
  return new Promise((resolve) => {
    child.once("error", () => {
      resolve(START_ERROR_EXIT);
    });
    child.once("exit", (code, signal) => {
      resolve(code ?? EXIT_OF_SIGNAL[signal ?? ""] ?? START_ERROR_EXIT);
    });
  });
}
