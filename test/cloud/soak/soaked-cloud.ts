/**
 * A batch API of two replicas and their workers, all of them processes of this machine: a real control plane with a node in
 * name only, and the real servers of the cloud's protocols behind proxies that can spoil what passes.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ApiUser } from "../../support/api-user.ts";
import { until } from "../../support/a-service.ts";
import type { Deed, Target, Targets } from "../../system/soak/chaos.ts";
import { BareCloud } from "../support/a-bare-cloud.ts";
import { freePorts } from "../support/loopback.ts";
import { startServiceProcess, type ServiceProcess } from "../support/service-process.ts";

const REPLICAS = 2;
/** A whole start of two, beside whatever else this machine does. */
const READY_SECONDS = 150;

interface Slot {
  readonly variables: Readonly<Record<string, string>>;
  readonly doors: number;
  readonly health: number;
  process: ServiceProcess;
}

export class SoakedCloud extends ApiUser implements Targets {
  readonly bare: BareCloud;
  starts = 0;
  #slots: Slot[] = [];
  readonly #said: string[] = [];
  #asked = 0;

  private constructor(bare: BareCloud) {
    super(bare.folder);
    this.bare = bare;
  }

  static async start(lanes: number): Promise<SoakedCloud> {
    const cloud = new SoakedCloud(await BareCloud.start(lanes));
    try {
      for (let number = 0; number < REPLICAS; number += 1) await cloud.#startReplica();
      await cloud.whenReady();
      return cloud;
    } catch (error) {
      await cloud.end();
      throw error;
    }
  }

  /** What all replicas said that ever ran. */
  get said(): readonly string[] {
    return [...this.#said, ...this.#slots.map(({ process }) => process.said())];
  }

  /** Asks one replica after the other, and the next one where one does not answer. */
  async request(path: string, init: RequestInit = {}): Promise<Response> {
    this.#asked += 1;
    const first = this.#asked % this.#slots.length;
    const order = [...this.#slots.slice(first), ...this.#slots.slice(0, first)];
    let fault: unknown;
    for (const { doors } of order) {
      try {
        return await fetch(`http://127.0.0.1:${String(doors)}${path}`, {
          ...init,
          signal: AbortSignal.timeout(20_000),
        });
      } catch (error) {
        fault = error;
      }
    }
    throw fault;
  }

  /** Starts again what has ended, as a Deployment does. */
  async keep(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      this.revive();
      await sleep(200);
    }
  }

  revive(): void {
    for (const slot of this.#slots.filter(({ process }) => process.hasEnded())) {
      this.#said.push(slot.process.said());
      slot.process = this.#spawn(slot.variables);
    }
  }

  /** Once every replica has all that it needs. */
  async whenReady(): Promise<void> {
    for (const { health, process } of this.#slots) {
      let last = "nothing";
      const look = async () => {
        const reply = await fetch(`http://127.0.0.1:${String(health)}/health/ready`).catch(() => undefined);
        if (reply !== undefined) last = await reply.text();
        return reply?.ok === true ? true : undefined;
      };
      await until("a replica to be ready", look, READY_SECONDS).catch((error: unknown) => {
        throw new Error(`${String(error)}; its health says ${last}, and it:\n${process.said().slice(-3_000)}`, {
          cause: error,
        });
      });
    }
  }

  pidsOf(target: Target, asleep: ReadonlyMap<number, Deed>): readonly number[] {
    if (target !== "service") return this.#workerProcesses(target === "worker");
    const pids = this.#slots.filter(({ process }) => !process.hasEnded()).map(({ process }) => process.pid);
    // one of them goes on, or nobody could take over
    return pids.length < REPLICAS || pids.some((pid) => asleep.has(pid)) ? [] : pids;
  }

  /** Every job is verified, and none of its processes lives. */
  async proveAll(): Promise<void> {
    await this.verifyAll(this.bare.store);
    const living = () => [...this.#workerProcesses(true), ...this.#workerProcesses(false)];
    await until("the jobs' processes to end", () => (living().length === 0 ? true : undefined), 60);
  }

  async end(): Promise<void> {
    for (const { process } of this.#slots) {
      process.kill("SIGCONT");
      process.kill("SIGTERM");
    }
    await Promise.race([Promise.all(this.#slots.map(({ process }) => process.ended)), sleep(30_000)]);
    for (const { process } of this.#slots) process.kill("SIGKILL");
    await this.bare.end();
  }

  async #startReplica(): Promise<void> {
    const [doors = 0, health = 0] = await freePorts(2);
    const variables = this.bare.serviceVariables(doors, health);
    this.#slots.push({ variables, doors, health, process: this.#spawn(variables) });
  }

  #spawn(variables: Readonly<Record<string, string>>): ServiceProcess {
    this.starts += 1;
    return startServiceProcess(variables);
  }

  /** Supervisors, or the hosts of handlers, also those that outlived theirs: each works in a folder of this cloud. */
  #workerProcesses(supervisors: boolean): readonly number[] {
    const mark = `${this.folder}/`;
    const pids = readdirSync("/proc").map(Number).filter(Number.isInteger);
    return pids.filter((pid) => {
      const command = textOf(pid, "cmdline");
      if (command.includes("millrace_host")) return !supervisors && folderOf(pid).startsWith(mark);
      return supervisors && command.includes("services/worker/main.ts") && textOf(pid, "environ").includes(mark);
    });
  }
}

function folderOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${String(pid)}/cwd`);
  } catch {
    return ""; // it ended while we looked
  }
}

function textOf(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${String(pid)}/${file}`, "utf8");
  } catch {
    return ""; // it ended while we looked
  }
}
