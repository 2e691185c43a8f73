/** Joins each connection to a pod that takes requests, and to another one when that goes away. */
import type { Socket } from "node:net";
import type { Clock } from "../../services/backends/clock.ts";
import { CLI_EXIT } from "../../services/protocol/exit-codes.ts";
import { CliError } from "../cli-error.ts";
import { refuse } from "./local-door.ts";
import { ForwardRefused, type PodForwarder } from "./pod-forwarder.ts";
import type { ReadyPod, ServicePods } from "./service-pods.ts";

export interface PodSwitchOptions {
  readonly api: string;
  readonly pods: Pick<ServicePods, "ready" | "whyNoneReady">;
  readonly forwarder: PodForwarder;
  readonly clock: Clock;
  /** What the cluster's refusal (an HTTP status) of a port-forward, or its silence, means. */
  readonly fault: (error: unknown) => CliError;
  /** Told of what changes: which pod is asked, and what is wrong. Not before `tells()`. */
  readonly say: (sentence: string) => void;
  /** Nothing is waited for any more. */
  readonly ended: AbortSignal;
}

/** A rolling update has a ready pod at any time; a pod that crashed is back or replaced in less. */
const WAIT_MS_MAX = 15_000;
const AGAIN_MS = 250;

export class PodSwitch {
  readonly #options: PodSwitchOptions;
  #asked: ReadyPod | undefined;
  #trouble: CliError | undefined;
  #tells = false;

  constructor(options: PodSwitchOptions) {
    this.#options = options;
  }

  /** Why the last connection went wrong, if it did. */
  get trouble(): CliError | undefined {
    return this.#trouble;
  }

  /** From now on what happens is told. */
  tells(): void {
    this.#tells = true;
  }

  /** Never rejects: a connection that cannot be joined is answered why. */
  async join(socket: Socket): Promise<void> {
    try {
      await this.#join(socket);
    } catch (error) {
      const trouble = error instanceof CliError ? error : this.#options.fault(error);
      this.#wentWrong(trouble);
      refuse(socket, trouble.message);
    }
  }

  /** The same is told once. */
  #wentWrong(trouble: CliError): void {
    if (trouble.message !== this.#trouble?.message) this.#tell(trouble.message);
    this.#trouble = trouble;
  }

  #tell(sentence: string): void {
    if (this.#tells) this.#options.say(sentence);
  }

  async #join(socket: Socket): Promise<void> {
    const { pods, clock, ended } = this.#options;
    const untilMs = clock.monotonicMs() + WAIT_MS_MAX;
    for (let refused: unknown; ;) {
      const ready = await pods.ready();
      for (const pod of this.#inOrder(ready)) {
        try {
          await this.#open(pod, socket);
          return;
        } catch (error) {
          if (error instanceof ForwardRefused && [401, 403].includes(error.status)) throw error;
          refused = error;
        }
      }
      if (socket.destroyed) return; // nobody waits any more
      if (ended.aborted || clock.monotonicMs() > untilMs) throw await this.#nobody(ready, refused);
      await clock.sleep(AGAIN_MS, ended).catch(() => undefined); // ended: told so above
    }
  }

  async #open(pod: ReadyPod, socket: Socket): Promise<void> {
    await this.#options.forwarder.open(pod.name, socket, (words) => {
      this.#wentWrong(new CliError(`pod ${pod.name} broke a connection: ${words}`, CLI_EXIT.unreachable));
    });
    if (this.#asked !== undefined && this.#asked.uid !== pod.uid) this.#tell(`moved to pod ${pod.name}`);
    else if (this.#trouble !== undefined) this.#tell(`pod ${pod.name} answers again`);
    this.#trouble = undefined;
    this.#asked = pod;
  }

  /** The one that was asked last goes on being asked. */
  #inOrder(ready: readonly ReadyPod[]): readonly ReadyPod[] {
    const asked = ready.filter(({ uid }) => uid === this.#asked?.uid);
    return [...asked, ...ready.filter((pod) => !asked.includes(pod))];
  }

  async #nobody(ready: readonly ReadyPod[], refused: unknown): Promise<CliError> {
    const { api, pods, fault } = this.#options;
    if (ready.length > 0) return fault(refused);
    return noneReady(api, await pods.whyNoneReady());
  }
}

export function noneReady(api: string, why: string): CliError {
  return new CliError(`no pod of API "${api}" is ready; ${why}`, CLI_EXIT.unreachable);
}
