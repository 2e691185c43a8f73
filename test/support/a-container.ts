/** A container of a user: a real HTTP server on loopback, whose answers the test gives. */
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { ContainerHandlerSpec, ProbeSpec } from "../../services/protocol/api-spec.ts";

export interface SeenRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

type Answer = (response: ServerResponse, seen: SeenRequest) => void;

export class AContainer {
  /** POSTs, in the order of their coming. */
  readonly posts: SeenRequest[] = [];
  /** How many connections were ever made. */
  connections = 0;
  /** GETs: probes. */
  probes = 0;
  onPost: Answer = (response) => response.end();
  onGet: Answer = (response) => response.end();
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;

  static async up(onPost?: Answer): Promise<AContainer> {
    const container = new AContainer();
    if (onPost !== undefined) container.onPost = onPost;
    await container.start();
    return container;
  }

  get port(): number {
    return this.#port;
  }

  /** Listens, from the second time on at the same port. */
  start(): Promise<void> {
    const server = createServer((request, response) => void this.#serve(request, response));
    server.on("connection", (socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.on("error", reject);
      server.listen(this.#port, "127.0.0.1", () => {
        this.#port = (server.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  /** Is gone at once, as a killed process is: connections are reset. */
  die(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server?.close(() => resolve()) ?? resolve());
    for (const socket of this.#sockets) socket.resetAndDestroy();
    this.#server = undefined;
    return closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    request.on("error", () => {}); // given up by the worker
    for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
    const seen = { path: request.url ?? "", headers: request.headers, body: Buffer.concat(pieces).toString() };
    if (request.method === "GET") {
      this.probes += 1;
      this.onGet(response, seen);
      return;
    }
    this.posts.push(seen);
    this.onPost(response, seen);
  }
}

export function aProbe(check: ProbeSpec["check"], over: Partial<ProbeSpec> = {}): ProbeSpec {
  const seconds = { initial_delay_seconds: 0, timeout_seconds: 1, period_seconds: 10 };
  return { check, ...seconds, success_threshold: 1, failure_threshold: 1, ...over };
}

/** One container without probes, at that port. */
export function aContainerSpec(port: number, probe: ProbeSpec | null = null, startSeconds = 30): ContainerHandlerSpec {
  return {
    kind: "container",
    port,
    processes: 1,
    start_timeout_seconds: startSeconds,
    containers: [
      {
        ...{ name: "api", image: "registry/api", command: null, args: null, env: {} },
        compute: { cpu: null, mem: null, gpu: 0, shm: null },
        ...{ readiness_probe: probe, liveness_probe: null },
      },
    ],
  };
}
