/** An API server in this process that knows pods, namespaces and events, and nothing else: for what is asked of a cluster from outside. */
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface FakePod {
  readonly name: string;
  readonly namespace: string;
  readonly api: string;
  /** Default true. */
  readonly ready?: boolean;
  /** Default false: it is being deleted. */
  readonly going?: boolean;
  /** Reason that its container waits for, with the words. */
  readonly waiting?: readonly [reason: string, message: string];
}

export class FakeKubernetes {
  readonly namespaces = new Set<string>();
  readonly events: object[] = [];
  /** HTTP statuses that it answers in place of what was asked, by what is asked: "pods", "all pods", "namespaces", "portforward". */
  readonly refusals = new Map<string, number>();
  readonly #server: Server;
  readonly #pods = new Map<string, object>();
  readonly #watches = new Set<ServerResponse>();
  #version = 1;
  #made = 0;

  private constructor() {
    this.#server = createServer((request, answer) => {
      this.#answer(request, answer);
    });
    this.#server.on("upgrade", (request: IncomingMessage, socket) => {
      const status = this.refusals.get("portforward") ?? 404;
      socket.end(`HTTP/1.1 ${String(status)} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
    });
  }

  static async start(): Promise<FakeKubernetes> {
    const fake = new FakeKubernetes();
    fake.#server.listen(0, "127.0.0.1");
    await once(fake.#server, "listening");
    return fake;
  }

  get address(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  /** Watches that stand. */
  get watches(): number {
    return this.#watches.size;
  }

  /** A kubeconfig that leads here as `user` of context `name`. */
  async writeKubeConfig(path: string, name = "dev", user: object = { token: "t" }): Promise<void> {
    await writeFile(path, JSON.stringify(kubeConfigOf({ name, server: this.address, user })));
  }

  /** Adds it, or makes it so. */
  put(pod: FakePod): void {
    this.namespaces.add(pod.namespace);
    const known = this.#pods.has(pod.name);
    if (!known) this.#made += 1;
    const object = podObject(pod, (this.#version += 1), this.#made);
    this.#pods.set(pod.name, object);
    this.#tell(known ? "MODIFIED" : "ADDED", object);
  }

  remove(name: string): void {
    const object = this.#pods.get(name) as { metadata: { resourceVersion: string } } | undefined;
    if (object === undefined) return;
    this.#pods.delete(name);
    object.metadata.resourceVersion = String((this.#version += 1));
    this.#tell("DELETED", object);
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #tell(type: string, object: object): void {
    for (const watch of this.#watches) watch.write(`${JSON.stringify({ type, object })}\n`);
  }

  #answer(request: IncomingMessage, answer: ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url ?? "", this.address);
    const [, namespace = "", resource = ""] = /^\/api\/v1\/namespaces\/([^/]+)(?:\/([^/]+))?$/.exec(pathname) ?? [];
    const what = pathname === "/api/v1/pods" ? "all pods" : resource === "" ? "namespaces" : resource;
    const refusal = this.refusals.get(what);
    if (refusal !== undefined) return status(answer, refusal, `${what} is forbidden: User "dev" cannot do that`);
    if (what === "namespaces") {
      if (!this.namespaces.has(namespace)) return status(answer, 404, `namespaces "${namespace}" not found`);
      return json(answer, { kind: "Namespace", apiVersion: "v1", metadata: { name: namespace } });
    }
    if (what === "events") {
      const wanted = (searchParams.get("fieldSelector") ?? "").split("=").at(-1) ?? "";
      return list(
        answer,
        "EventList",
        this.events.filter((event) => JSON.stringify(event).includes(wanted)),
        "1",
      );
    }
    if (searchParams.get("watch") === "true") {
      answer.writeHead(200, { "content-type": "application/json" }).flushHeaders();
      this.#watches.add(answer);
      return void answer.once("close", () => this.#watches.delete(answer));
    }
    const selector = (searchParams.get("labelSelector") ?? "").split(",").map((pair) => pair.split("="));
    const pods = [...this.#pods.values()].filter((pod) => {
      const { metadata } = pod as ReturnType<typeof podObject>;
      const isMeant = selector.every(([name = "", value]) => metadata.labels[name] === value);
      return isMeant && (namespace === "" || metadata.namespace === namespace);
    });
    return list(answer, "PodList", pods, String(this.#version));
  }
}

export interface KubeConfigParts {
  readonly name: string;
  readonly server: string;
  readonly user: object;
}

export function kubeConfigOf({ name, server, user }: KubeConfigParts): object {
  return {
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    clusters: [{ name, cluster: { server, "insecure-skip-tls-verify": true } }],
    users: [{ name: `${name}-user`, user }],
    contexts: [{ name, context: { cluster: name, user: `${name}-user` } }],
  };
}

function podObject(
  { name, namespace, api, ready = true, going = false, waiting }: FakePod,
  version: number,
  made: number,
) {
  const at = new Date(Date.UTC(2026, 0, 1, 0, 0, made)).toISOString();
  const state =
    waiting === undefined ? { running: { startedAt: at } } : { waiting: { reason: waiting[0], message: waiting[1] } };
  return {
    metadata: {
      ...{ name, namespace, uid: `uid-${name}`, resourceVersion: String(version), creationTimestamp: at },
      labels: { "app.kubernetes.io/name": "millrace-service", "millrace/api": api } as Record<string, string>,
      ...(going ? { deletionTimestamp: at } : {}),
    },
    spec: { nodeName: "node", containers: [{ name: "service", image: "service:1" }] },
    status: {
      phase: waiting === undefined ? "Running" : "Pending",
      conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
      containerStatuses: [{ name: "service", image: "service:1", imageID: "", ready, restartCount: 0, state }],
    },
  };
}

function list(answer: ServerResponse, kind: string, items: readonly object[], resourceVersion: string): void {
  json(answer, { kind, apiVersion: "v1", metadata: { resourceVersion }, items });
}

function status(answer: ServerResponse, code: number, message: string): void {
  json(answer, { kind: "Status", apiVersion: "v1", status: "Failure", message, code }, code);
}

function json(answer: ServerResponse, body: object, code = 200): void {
  answer.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(body));
}
