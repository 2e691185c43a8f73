/** Talks to a service's `/v1`. */
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { ENV } from "../services/protocol/environment.ts";
import { CLI_EXIT } from "../services/protocol/exit-codes.ts";
import { CliError } from "./cli-error.ts";

export interface Call {
  readonly method?: "GET" | "POST" | "PUT" | "DELETE";
  readonly body?: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Sees an answer's head, when it is a good one. */
  readonly onHead?: (answer: IncomingMessage) => void;
}

/** An answer that ends before its end: what came is no whole. */
class CutOff extends CliError {
  constructor(address: string, cause: unknown) {
    const why = "the service ended, or met an object that it cannot read";
    super(
      `the answer of ${address} was cut off: ${why}; \`millrace verify JOB\` and the service's log tell which`,
      CLI_EXIT.unreachable,
      cause,
    );
  }
}

/** The service could not be reached, or went away before it answered. */
export class Unreachable extends CliError {
  constructor(
    address: string,
    cause: unknown,
    fix = "start it with `millrace serve`, or name its address with --address",
  ) {
    const why = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    super(`no service answers at ${address} (${why}); ${fix}`, CLI_EXIT.unreachable, cause);
  }
}

export interface ClientOptions {
  /** What to do when the service does not answer, in place of the words for one of this machine. */
  readonly fix?: string;
  /** Asked at each call: the API key or access token to show; undefined shows none. */
  readonly key?: () => Promise<string | undefined>;
}

/**
 * One service. `locate` is asked for its address at each call, because a service that was started again may have another.
 *
 *     const job = await client.json<Job>(`/v1/apis/${api}/jobs/${id}`);
 */
export class Client {
  readonly #locate: () => Promise<string>;
  readonly #options: ClientOptions;

  constructor(locate: () => Promise<string>, options: ClientOptions = {}) {
    this.#locate = locate;
    this.#options = options;
  }

  /** The answer's JSON; undefined when it has none. Throws `CliError` with what the service says is wrong. */
  async json<T>(path: string, call: Call = {}): Promise<T> {
    const text = (await this.bytes(path, call)).toString();
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  async bytes(path: string, call: Call = {}): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of this.stream(path, call)) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  /** The answer as it comes. Throws `Unreachable`, and `CutOff` for one that ends too early. Ends quietly when the signal aborts. */
  async *stream(path: string, call: Call = {}): AsyncGenerator<Buffer> {
    const address = await this.#locate();
    let answers = false;
    try {
      const key = await this.#options.key?.();
      const answer = await ask(new URL(path, address), key === undefined ? call : withKey(call, key));
      if ((answer.statusCode ?? 500) >= 400) throw await refusal(answer);
      answers = true;
      call.onHead?.(answer);
      for await (const piece of answer) yield piece as Buffer;
      if (!answer.complete) throw new Error("the answer was cut off");
    } catch (error) {
      if (call.signal?.aborted === true) return;
      if (error instanceof CliError) throw error;
      throw answers ? new CutOff(address, error) : new Unreachable(address, error, this.#options.fix);
    }
  }

  /** Lines of one page, and the cursor of the next one. */
  async page(path: string): Promise<{ readonly lines: readonly string[]; readonly cursor: string | undefined }> {
    let cursor: string | undefined;
    const lines: string[] = [];
    const onHead = (answer: IncomingMessage) => {
      const found = answer.headers["millrace-cursor"];
      cursor = typeof found === "string" ? found : undefined;
    };
    for await (const line of this.lines(path, { onHead })) lines.push(line);
    return { lines, cursor };
  }

  /** A streamed answer line by line. */
  async *lines(path: string, call: Call = {}): AsyncGenerator<string> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const piece of this.stream(path, call)) {
      const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
    }
    if (rest !== "") yield rest;
  }
}

function withKey(call: Call, key: string): Call {
  return { ...call, headers: { ...call.headers, authorization: `Bearer ${key}` } };
}

function ask(url: URL, { method = "GET", body, headers = {}, signal }: Call): Promise<IncomingMessage> {
  const request = url.protocol === "https:" ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { "content-length": String(body.length) };
    const asked = request(url, {
      method,
      headers: { ...headers, ...length },
      agent: false,
      ...(signal === undefined ? {} : { signal }),
    });
    asked.once("response", resolve);
    asked.once("error", reject);
    asked.end(body);
  });
}

interface Told {
  readonly status?: number;
  readonly code?: string;
  readonly detail?: string;
  readonly title?: string;
}

async function refusal(answer: IncomingMessage): Promise<CliError> {
  const pieces: Buffer[] = [];
  for await (const piece of answer) pieces.push(piece as Buffer);
  const text = Buffer.concat(pieces).toString();
  try {
    return problemError(JSON.parse(text) as Told);
  } catch {
    const status = String(answer.statusCode ?? "");
    return new CliError(`the service answered ${status} and no JSON: is it a Millrace service?`, CLI_EXIT.failed);
  }
}

/** A problem of the service as the end of a command. */
export function problemError(problem: Told): CliError {
  const { code = "", detail, title, status = 500 } = problem;
  const message = detail ?? title ?? "the service refused, and said no more";
  const fix = status === 401 ? ` Set ${ENV.apiKey} to your key or token, or the context's --api-key-file.` : "";
  return new CliError(message + fix, exitCodeOf(code, status));
}

/** What passes by itself, or once an operator has mended it: who follows a job asks again. */
const PASSING: ReadonlySet<string> = new Set(["service_starting", "store_unwell", "backend_unwell", "auth_unwell"]);

function exitCodeOf(code: string, status: number): number {
  if (code === "job_not_found" || code === "api_not_found") return CLI_EXIT.notFound;
  if (PASSING.has(code)) return CLI_EXIT.unreachable;
  if (code === "environment_failed" || status === 409 || status >= 500) return CLI_EXIT.failed;
  return CLI_EXIT.usage;
}
