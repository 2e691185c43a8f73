/**
 * A reverse proxy before a server of S3, SQS or CloudWatch Logs that does what no emulator does: it loses, delays, refuses and cuts, by
 * rules, and counts what it did. Requests are forwarded as they came, the `Host` header too, which AWS's signatures cover.
 */
import { createServer, request as forwardRequest } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { FaultRules, headerOf, operationOf } from "./faults.ts";
import type { Fault, FaultRule, ProxiedRequest } from "./faults.ts";

export interface FaultProxyOptions {
  /** Of the server behind it. */
  readonly target: string;
  /** Of all chance in rules; default 1. */
  readonly seed?: number;
}

interface Answer {
  readonly status: number;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
}

type Entries = Readonly<Record<string, unknown>>[];

export class FaultProxy {
  readonly rules: FaultRules;
  /** Hears of each request as it came, whatever becomes of it: for counters. */
  onRequest: ((request: ProxiedRequest) => void) | undefined;
  readonly #target: URL;
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  readonly #sockets = new Set<Socket>();
  readonly #late: (() => Promise<void>)[] = [];
  readonly #landing = new Set<Promise<void>>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #throttled = new Map<string, number[]>();
  #state: "open" | "cut" | "frozen" = "open";

  private constructor({ target, seed = 1 }: FaultProxyOptions) {
    this.#target = new URL(target);
    this.rules = new FaultRules(seed);
    this.#server.on("connection", (socket) => {
      if (this.#state === "cut") {
        this.rules.count("cut");
        return void socket.resetAndDestroy();
      }
      this.#sockets.add(socket);
      socket.on("error", () => undefined); // resets are what this is for
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  static async start(options: FaultProxyOptions): Promise<FaultProxy> {
    const proxy = new FaultProxy(options);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once("error", reject);
      proxy.#server.listen(0, "127.0.0.1", resolve);
    });
    return proxy;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  /** Resets all connections and every new one, until `heal`; each counts as `cut`. */
  cut(): void {
    this.#state = "cut";
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Takes requests and never answers them, until `heal`, which resets them; each counts as `frozen`. */
  freeze(): void {
    this.#state = "frozen";
  }

  heal(): void {
    if (this.#state === "frozen") for (const socket of this.#sockets) socket.resetAndDestroy();
    this.#state = "open";
  }

  /** Forwards the requests that wait for it, in their order; answers how many there were, when all are done. */
  async landLate(): Promise<number> {
    const late = this.#late.splice(0);
    for (const land of late) await land();
    await Promise.all(this.#landing);
    return late.length;
  }

  /** Ends all connections; what was to land late never does. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.allSettled(this.#landing);
    this.#server.closeAllConnections();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const body = await bytesOf(incoming);
      if (this.#state === "frozen") return this.rules.count("frozen");
      const request: ProxiedRequest = {
        method: incoming.method ?? "GET",
        path: incoming.url ?? "/",
        operation: operationOf(incoming.rawHeaders, body),
        rawHeaders: incoming.rawHeaders,
        body,
      };
      this.onRequest?.(request);
      const rule = this.rules.next(request);
      if (rule === undefined) send(response, await this.#forward(request));
      else await this.#harm(rule, request, response);
    } catch {
      // the client is gone, or the server behind: the client sees a reset either way
      response.socket?.resetAndDestroy();
    }
  }

  async #harm({ name, fault }: FaultRule, request: ProxiedRequest, response: ServerResponse): Promise<void> {
    const reset = () => void response.socket?.resetAndDestroy();
    switch (fault.kind) {
      case "refuse":
        return send(response, refusal(request, fault.status, fault.code));
      case "loseRequest":
        return reset();
      case "loseReply":
        await this.#forward(request);
        return reset();
      case "cutReply":
        return cutShort(response, await this.#forward(request));
      case "landLate":
        this.#hold(request, fault.afterMilliseconds);
        return reset();
      case "failEntries":
        return send(response, await this.#failEntries(request, fault));
      case "throttle": {
        if (this.#underRate(name, fault.perSecond)) return send(response, await this.#forward(request));
        this.rules.count(name);
        return send(response, throttled(request));
      }
    }
  }

  #hold(request: ProxiedRequest, afterMilliseconds: number | undefined): void {
    const land = async () => {
      // whatever the server says to it, nobody hears
      const landed = this.#forward(request).then(() => undefined);
      const settled = landed.catch(() => undefined);
      this.#landing.add(settled);
      await settled;
      this.#landing.delete(settled);
    };
    if (afterMilliseconds === undefined) return void this.#late.push(land);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      void land();
    }, afterMilliseconds);
    this.#timers.add(timer);
  }

  #underRate(name: string, perSecond: number): boolean {
    const now = performance.now();
    const recent = (this.#throttled.get(name) ?? []).filter((at) => at > now - 1_000);
    const under = recent.length < perSecond;
    this.#throttled.set(name, under ? [...recent, now] : recent);
    return under;
  }

  async #failEntries(request: ProxiedRequest, fault: Extract<Fault, { kind: "failEntries" }>): Promise<Answer> {
    const input = JSON.parse(request.body.toString()) as Readonly<Record<string, unknown>>;
    const entries = input["Entries"] as Entries;
    const failed = entries
      .filter((_, at) => fault.of(at))
      .map(({ Id }) => ({ Id, Code: fault.code, SenderFault: fault.senderFault, Message: "by the fault proxy" }));
    const rest = entries.filter((_, at) => !fault.of(at));
    if (rest.length === 0) return json(200, { Successful: [], Failed: failed });
    const body = Buffer.from(JSON.stringify({ ...input, Entries: rest }));
    const answer = await this.#forward({ ...request, body });
    if (answer.status !== 200) return answer;
    const output = JSON.parse(answer.body.toString()) as Readonly<Record<string, unknown>>;
    return json(200, { ...output, Failed: [...((output["Failed"] ?? []) as Entries), ...failed] });
  }

  #forward({ method, path, rawHeaders, body }: ProxiedRequest): Promise<Answer> {
    const { hostname, port } = this.#target;
    const headers = forwarded(rawHeaders, body.length);
    return new Promise((resolve, reject) => {
      const outgoing = forwardRequest({ hostname, port, method, path, headers, setHost: false }, (answer) => {
        bytesOf(answer).then(
          (bytes) => resolve({ status: answer.statusCode ?? 502, rawHeaders: answer.rawHeaders, body: bytes }),
          reject,
        );
      });
      outgoing.once("error", reject);
      outgoing.end(body);
    });
  }
}

async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** The body is whole here: its length is known, and nobody waits to be told to go on. */
function forwarded(rawHeaders: readonly string[], lengthBytes: number): string[] {
  const headers: string[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? "";
    if (/^(expect|connection|keep-alive|content-length|transfer-encoding)$/i.test(name)) continue;
    headers.push(name, rawHeaders[at + 1] ?? "");
  }
  const hasBody = lengthBytes > 0 || headerOf(rawHeaders, "content-length") !== "";
  return hasBody ? [...headers, "content-length", String(lengthBytes)] : headers;
}

function send(response: ServerResponse, { status, rawHeaders, body }: Answer): void {
  response.writeHead(status, answered(rawHeaders));
  response.end(body);
}

function cutShort(response: ServerResponse, { status, rawHeaders, body }: Answer): void {
  const headers = answered(rawHeaders).concat(
    headerOf(rawHeaders, "content-length") === "" ? ["content-length", String(body.length)] : [],
  );
  response.writeHead(status, headers);
  response.flushHeaders();
  response.write(body.subarray(0, Math.floor(body.length / 2)), () => void response.socket?.resetAndDestroy());
}

function answered(rawHeaders: readonly string[]): string[] {
  const headers: string[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? "";
    if (!/^(connection|keep-alive|transfer-encoding)$/i.test(name)) headers.push(name, rawHeaders[at + 1] ?? "");
  }
  return headers;
}

/** In the manner of the service that was asked: SQS and Logs speak JSON, S3 speaks XML. */
function refusal({ method, operation }: ProxiedRequest, status: number, code: string): Answer {
  if (operation !== "") {
    const answer = json(status, { __type: code, message: "by the fault proxy" });
    return { ...answer, rawHeaders: [...answer.rawHeaders, "x-amzn-query-error", `${code};Sender`] };
  }
  const xml = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>by the fault proxy</Message></Error>`;
  const body = Buffer.from(method === "HEAD" ? "" : xml);
  return { status, rawHeaders: ["content-type", "application/xml", "content-length", String(body.length)], body };
}

function throttled(request: ProxiedRequest): Answer {
  return request.operation === "" ? refusal(request, 503, "SlowDown") : refusal(request, 400, "ThrottlingException");
}

function json(status: number, value: unknown): Answer {
  const body = Buffer.from(JSON.stringify(value));
  return {
    status,
    rawHeaders: ["content-type", "application/x-amz-json-1.0", "content-length", String(body.length)],
    body,
  };
}
