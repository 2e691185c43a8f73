/** A handler in the user's own container, spoken to by HTTP over the pod's network (docs/containers.md). */
import { Agent, request, STATUS_CODES, type IncomingMessage } from "node:http";
import type { Clock } from "../../backends/clock.ts";
import type { RunMeta } from "../../protocol/frames.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { readBody, readRows, tailOf } from "./container-answers.ts";
import { CONTAINER_HOST, type ContainerGate } from "./container-gate.ts";
import type { KillCause } from "./handler-end.ts";
import { type Handler, HandlerStartFailed, type Ready, type RunAnswer } from "./handler.ts";

export interface ContainerHandlerOptions {
  /** One for all handlers of a worker. */
  readonly gate: ContainerGate;
  readonly clock: Clock;
  /** Where the container listens. */
  readonly port: number;
  readonly job: string;
  /** See ApiSpec.cortex_project: an answer that is no list of rows is ignored, with one line. */
  readonly cortexProject: boolean;
  /** Lines of this handler for the job's log; `first` as in HandlerOutput. */
  readonly output: (line: { readonly first: number | undefined; readonly text: string }) => void;
}

/** A `Handler` whose start needs no init: a container reads its job from `/cortex/spec/job.json`. */
export interface ContainerHandler extends Handler {
  start(): Promise<Ready>;
}

/**
 * A session with the containers beside this worker: one request at a time. It ends when a request breaks; the next session
 * starts when they are ready again. Nobody here can end a container: Kubernetes starts it again when it exits or when its
 * liveness probe fails, and a worker whose containers do not get ready goes, with its pod.
 */
export function startContainerHandler(options: ContainerHandlerOptions): ContainerHandler {
  return new ContainerSession(options);
}

interface Call {
  /** Undefined: the completion hook. */
  readonly meta: RunMeta | undefined;
  readonly items: Buffer;
  readonly begun: (() => void) | undefined;
  readonly resolve: (answer: RunAnswer) => void;
}

/** How a request ended; broken: the container said nothing, or only half. */
type Exchange =
  | { readonly kind: "answered"; readonly answer: RunAnswer }
  | { readonly kind: "refused" }
  | { readonly kind: "broken"; readonly answer: RunAnswer };

/** An idle connection is not used again after this: servers close theirs after some seconds, perhaps just then. */
const IDLE_MS = 1_000;
/**
 * A connection that was used before and breaks so soon had most likely been closed at its other end: nobody is charged. Had
 * the batch itself done it, then it does so again, on the new connection of the next session.
 */
const STALE_MS = 1_000;
const COMPLETION_PATH = "/on-job-complete";
const COMPLETION_BODY = Buffer.from('{"message":"job_complete"}');
const NO_ROWS: RunAnswer = { kind: "done", rows: null, bytes: Buffer.alloc(0) };

const KILL_SENTENCES = {
  timed_out: "The batch ran longer than its batch timeout, and its request to the container was given up",
  aborted: "The attempt was aborted, and its request to the container was given up",
  out_of_memory: "The worker ran out of memory, and its request to the container was given up",
} as const satisfies Record<KillCause, string>;

class StaleConnection extends Error {}

class ContainerSession implements ContainerHandler {
  readonly ended: Promise<void>;
  readonly #options: ContainerHandlerOptions;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1, timeout: IDLE_MS });
  readonly #over = new AbortController();
  readonly #calls: Call[] = [];
  #end: () => void = () => undefined;
  #works = false;
  #killed: KillCause = "aborted";
  #warned = false;

  constructor(options: ContainerHandlerOptions) {
    this.#options = options;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  async start(): Promise<Ready> {
    const { gate } = this.#options;
    const opened = await gate.opened(this.#over.signal).catch(() => undefined); // aborted by kill or close
    if (opened === true) return { hook: true }; // whether there is one is known when it is called
    this.#finish();
    if (opened === undefined) throw new HandlerStartFailed("The handler was told to stop while it started", "");
    throw new HandlerStartFailed(
      `The containers were not ready within pod.start_timeout: ${gate.missing} did not succeed; see the container's log, ` +
        "or give it more time",
      "",
    );
  }

  run(meta: RunMeta, items: Buffer, begun?: () => void): Promise<RunAnswer> {
    return this.#call(meta, items, begun);
  }

  complete(): Promise<RunAnswer> {
    return this.#call(undefined, COMPLETION_BODY, undefined);
  }

  tellTotalBatches(): void {
    // Nobody asks for it over HTTP.
  }

  kill(cause: KillCause): void {
    if (this.#over.signal.aborted) return;
    this.#killed = cause;
    this.#over.abort();
    if (!this.#works) this.#finish();
  }

  async close(): Promise<void> {
    this.kill("aborted");
    await this.ended;
  }

  #call(meta: RunMeta | undefined, items: Buffer, begun: (() => void) | undefined): Promise<RunAnswer> {
    if (this.#over.signal.aborted) return Promise.resolve({ kind: "not_begun" });
    return new Promise((resolve) => {
      this.#calls.push({ meta, items, begun, resolve });
      if (!this.#works) void this.#work();
    });
  }

  /** Works the calls off, one after the other. Never rejects. */
  async #work(): Promise<void> {
    this.#works = true;
    for (let call = this.#calls[0]; call !== undefined && (await this.#mayBegin()); call = this.#calls[0]) {
      const end = await this.#exchange(call);
      if (end.kind === "refused") break;
      this.#calls.shift();
      call.resolve(end.answer);
      if (end.kind === "broken") break;
    }
    this.#works = false;
    if (this.#calls.length > 0 || this.#over.signal.aborted) this.#finish();
  }

  async #mayBegin(): Promise<boolean> {
    if (this.#over.signal.aborted) return false;
    return this.#options.gate.isStillOpen(this.#over.signal).catch(() => false); // aborted: nothing begins any more
  }

  /** It is over: what was not begun is charged to nobody. */
  #finish(): void {
    this.#over.abort();
    for (const call of this.#calls.splice(0)) call.resolve({ kind: "not_begun" });
    this.#agent.destroy();
    this.#end();
  }

  async #exchange(call: Call): Promise<Exchange> {
    const { gate } = this.#options;
    gate.requestBegan();
    let end: Exchange;
    try {
      const response = await this.#post(call);
      end = { kind: "answered", answer: await this.#read(response, call) };
    } catch (error) {
      end = this.#afterError(error);
    }
    const broken = end.kind !== "answered";
    gate.requestEnded(broken);
    if (broken) this.#over.abort(); // the next session waits for the containers from now on, not from the next batch on
    return end;
  }

  #post({ meta, items, begun }: Call): Promise<IncomingMessage> {
    const { port, job, clock } = this.#options;
    const headers: Record<string, string | number> = {
      "content-type": "application/json",
      "content-length": items.length,
      "x-cortex-job-id": job,
    };
    if (meta !== undefined) {
      headers["x-millrace-batch-id"] = meta.batch_id;
      headers["x-millrace-attempt"] = meta.attempt;
      if (meta.parent_id !== undefined) headers["x-millrace-parent-id"] = meta.parent_id;
    }
    const path = meta === undefined ? COMPLETION_PATH : "/";
    return new Promise((resolve, reject) => {
      const { signal } = this.#over;
      const to = { host: CONTAINER_HOST, port, path, method: "POST", headers, agent: this.#agent, signal };
      const sentMs = clock.monotonicMs();
      const sent = request(to, resolve);
      sent.on("error", (error) => {
        const stale = sent.reusedSocket && clock.monotonicMs() - sentMs < STALE_MS;
        reject(stale && !signal.aborted ? new StaleConnection("it was closed already", { cause: error }) : error);
      });
      sent.on("socket", (socket) => {
        if (!socket.connecting) begun?.();
        else if (begun !== undefined) socket.once("connect", begun);
      });
      sent.end(items);
    });
  }

  async #read(response: IncomingMessage, { meta, items }: Call): Promise<RunAnswer> {
    const { statusCode: status = 0 } = response;
    const ok = status >= 200 && status < 300;
    const keepsRows = ok && meta !== undefined;
    const body = await readBody(response, keepsRows ? LIMITS.containerAnswerBytesMax : 0);
    if (meta === undefined) return ok || status === 404 ? NO_ROWS : refusal(status, tailOf(body));
    // A container that cannot read its batch says so in its own way; whether it could is seen here, and only then.
    if (!ok) return isJson(items) ? refusal(status, tailOf(body)) : { kind: "bad_items" };
    const read = readRows(body, meta);
    if (read.kind === "rows") {
      return read.bytes === null ? NO_ROWS : { kind: "done", rows: meta.items, bytes: read.bytes };
    }
    const error = `The container answered with ${read.fault}; answer with a list of one result an item, or with nothing`;
    if (!this.#options.cortexProject) return { kind: "failed", cause: "bad_answer", error, traceback: "" };
    this.#warnOnce(`${error}. This was ignored, as it always was in a Cortex project`, meta);
    return NO_ROWS;
  }

  #warnOnce(text: string, { first }: RunMeta): void {
    if (this.#warned) return;
    this.#warned = true;
    this.#options.output({ first, text });
  }

  #afterError(error: unknown): Exchange {
    if (this.#over.signal.aborted) return broken(this.#killed, KILL_SENTENCES[this.#killed]);
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (code === "ECONNREFUSED" || error instanceof StaleConnection) return { kind: "refused" };
    if (code.startsWith("HPE_")) return broken("bad_answer", `The container answered with what is no HTTP (${code})`);
    const why = "it may have crashed, or been killed for want of memory; see the container's log";
    return broken("exited", `The container broke the connection before it had answered (${code}): ${why}`);
  }
}

function broken(cause: "bad_answer" | "exited" | KillCause, error: string): Exchange {
  return { kind: "broken", answer: { kind: "failed", cause, error, traceback: "" } };
}

function refusal(status: number, traceback: string): RunAnswer {
  const reason = STATUS_CODES[status];
  const error = `The container answered ${String(status)}${reason === undefined ? "" : ` ${reason}`}`;
  return { kind: "failed", cause: "raised", error, traceback };
}

function isJson(items: Buffer): boolean {
  try {
    JSON.parse(items.toString("utf8"));
    return true;
  } catch {
    return false; // that is the answer
  }
}
