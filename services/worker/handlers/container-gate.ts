/** Whether the containers beside a worker may be given batches: asked by the worker, as their readiness probes say. */
import { request } from "node:http";
import { connect } from "node:net";
import type { Clock } from "../../backends/clock.ts";
import type { ContainerHandlerSpec, ProbeSpec } from "../../protocol/api-spec.ts";

export interface ContainerGateOptions {
  readonly handler: ContainerHandlerSpec;
  readonly clock: Clock;
}

/** The containers of a worker's pod share its network. */
export const CONTAINER_HOST = "127.0.0.1";
/** Between two questions while the answer is no: nothing else is done meanwhile. */
const RETRY_MS = 500;

type HttpCheck = Extract<ProbeSpec["check"], { kind: "http_get" }>;

interface Probe {
  readonly container: string;
  readonly spec: ProbeSpec;
  /** Whatever is answered will do, if only something is. */
  readonly anyStatus?: boolean;
}

/**
 * One for all handlers of a worker, which share the containers. It is closed until every readiness probe succeeds; without
 * any, until something listens at the port. After a broken request it is closed again: a container that hangs still accepts
 * connections, so without an `http_get` probe of its own it must then answer `GET /`, with whatever status.
 *
 *     const gate = new ContainerGate({ handler, clock });
 *     await gate.opened(signal);
 */
export class ContainerGate {
  readonly #clock: Clock;
  readonly #startMs: number;
  readonly #bornMs: number;
  readonly #probes: readonly Probe[];
  readonly #port: number;
  /** The container that is named when none has a probe. */
  readonly #target: string;
  /** When it was last seen open, and since when it is closed. */
  #openMs: number | undefined;
  #closedMs: number | undefined;
  #distrusted = false;
  #inFlight = 0;
  #missing = "";

  constructor({ handler, clock }: ContainerGateOptions) {
    this.#clock = clock;
    this.#startMs = handler.start_timeout_seconds * 1000;
    this.#port = handler.port;
    this.#target = handler.containers[0]?.name ?? "";
    this.#bornMs = clock.monotonicMs();
    this.#probes = probesOf(handler);
  }

  /** A request has gone out: who works may be too busy to answer probes. */
  requestBegan(): void {
    this.#inFlight += 1;
  }

  /** Its end. `broken`: without an answer, so that the container is not trusted before it is heard of again. */
  requestEnded(broken: boolean): void {
    this.#inFlight -= 1;
    if (!broken) return;
    this.#openMs = undefined;
    this.#distrusted = true;
  }

  /** Waits until all are ready; false when that takes longer than the start timeout. Rejects with the signal's reason. */
  async opened(signal: AbortSignal): Promise<boolean> {
    this.#closedMs ??= this.#clock.monotonicMs();
    for (const probe of this.#demanded()) {
      if (!(await this.#untilReady(probe, signal))) return false;
    }
    this.#closedMs = undefined;
    this.#distrusted = false;
    this.#openMs = this.#clock.monotonicMs();
    return true;
  }

  /** Asks again what was not asked within its period. Rejects with the signal's reason. */
  async isStillOpen(signal: AbortSignal): Promise<boolean> {
    if (this.#openMs === undefined) return false;
    const age = this.#clock.monotonicMs() - this.#openMs;
    for (const probe of this.#probes) {
      const { spec } = probe;
      if (this.#inFlight > 0 || age < spec.period_seconds * 1000) continue;
      let failures = 0;
      while (!(await this.#ask(probe, signal))) {
        failures += 1;
        if (failures >= spec.failure_threshold) return false;
        await this.#clock.sleep(RETRY_MS, signal);
      }
      this.#openMs = this.#clock.monotonicMs();
    }
    return true;
  }

  /** The probe that failed last, in words. */
  get missing(): string {
    return this.#missing;
  }

  #demanded(): readonly Probe[] {
    const hasHttp = this.#probes.some(({ spec }) => spec.check.kind === "http_get");
    if (!this.#distrusted || hasHttp) return this.#probes;
    return [...this.#probes, anyAnswer(this.#target, this.#port)];
  }

  async #untilReady(probe: Probe, signal: AbortSignal): Promise<boolean> {
    const { spec } = probe;
    const early = this.#bornMs + spec.initial_delay_seconds * 1000 - this.#clock.monotonicMs();
    if (early > 0) await this.#clock.sleep(early, signal);
    let successes = 0;
    for (;;) {
      successes = (await this.#ask(probe, signal)) ? successes + 1 : 0;
      if (successes >= spec.success_threshold) return true;
      this.#missing = `${checkWords(spec.check)} of container "${probe.container}"`;
      if (this.#isTooLate()) return false;
      await this.#clock.sleep(RETRY_MS, signal);
    }
  }

  /** Another handler's batch keeps the container busy, perhaps for long: no sign that it is ill. */
  #isTooLate(): boolean {
    const now = this.#clock.monotonicMs();
    if (this.#inFlight > 0) this.#closedMs = now;
    return now - (this.#closedMs ?? now) >= this.#startMs;
  }

  async #ask({ spec, anyStatus = false }: Probe, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    const { check, timeout_seconds: seconds } = spec;
    const over = new AbortController();
    const late = this.#clock.sleep(seconds * 1000, AbortSignal.any([signal, over.signal])).then(
      () => false,
      () => false, // aborted: answered, or nobody waits any more
    );
    const answer = check.kind === "http_get" ? answersHttp(check, anyStatus, over.signal) : listens(check, over.signal);
    const ready = await Promise.race([answer, late]);
    over.abort();
    signal.throwIfAborted();
    return ready;
  }
}

function probesOf({ containers, port }: ContainerHandlerSpec): Probe[] {
  const probes = containers.flatMap(({ name, readiness_probe: spec }) =>
    spec === null ? [] : [{ container: name, spec }],
  );
  if (probes.length > 0) return probes;
  return [{ container: containers[0]?.name ?? "", spec: aProbe({ kind: "tcp_socket", port }) }];
}

function aProbe(check: ProbeSpec["check"]): ProbeSpec {
  const seconds = { initial_delay_seconds: 0, timeout_seconds: 1, period_seconds: 10 };
  return { check, ...seconds, success_threshold: 1, failure_threshold: 3 };
}

function anyAnswer(container: string, port: number): Probe {
  return { container, spec: aProbe({ kind: "http_get", path: "/", port }), anyStatus: true };
}

function checkWords(check: ProbeSpec["check"]): string {
  if (check.kind === "http_get") return `GET ${check.path} on port ${String(check.port)}`;
  return check.kind === "tcp_socket" ? `a connection to port ${String(check.port)}` : "a command";
}

function answersHttp(check: HttpCheck, anyStatus: boolean, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const { path, port } = check;
    const asked = request({ host: CONTAINER_HOST, port, path, signal, agent: false }, (response) => {
      response.on("error", () => undefined); // its status is all that is asked for
      response.destroy();
      const { statusCode = 0 } = response;
      resolve(anyStatus || (statusCode >= 200 && statusCode < 400));
    });
    asked.on("error", () => {
      resolve(false);
    });
    asked.end();
  });
}

function listens(check: ProbeSpec["check"], signal: AbortSignal): Promise<boolean> {
  if (check.kind !== "tcp_socket") return Promise.resolve(true); // no other kind is parsed
  return new Promise((resolve) => {
    const socket = connect({ host: CONTAINER_HOST, port: check.port, signal }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => {
      resolve(false);
    });
  });
}
