import { once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { connect as connectTcp, type AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connectBy, type ConnectOptions } from "../../cli/commands/connect.ts";
import { ForwardRefused, podForwarder, type PodForwarder } from "../../cli/connect/pod-forwarder.ts";
import { realClock } from "../../services/backends/clock.real.ts";
import type { Cli } from "../../cli/cli.ts";
import { aSink, CliUser } from "../support/a-cli.ts";
import { FakeKubernetes } from "../support/fake-kubernetes.ts";
import { HurriedClock } from "../support/hurried-clock.ts";

const NAMESPACE = "batch-photos";
const A = { name: "a", namespace: NAMESPACE, api: "photos" };
const B = { ...A, name: "b" };

let user: CliUser;
let kubernetes: FakeKubernetes;
let kubeconfig: string;
/** Doors of pods by name; one that is missing refuses the port-forward. */
let doors: Map<string, Server>;
const closers: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  user = await CliUser.create();
  kubernetes = await FakeKubernetes.start();
  kubeconfig = join(user.home, "kubeconfig");
  await kubernetes.writeKubeConfig(kubeconfig);
  doors = new Map();
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  for (const server of doors.values()) {
    server.closeAllConnections();
    server.close();
  }
  await kubernetes.stop();
  await user.remove();
});

/** Answers with its name, and lists one API. */
async function openDoor(pod: string, status = 200): Promise<void> {
  const server = createServer(({ url }, answer) => {
    answer.setHeader("connection", "close").writeHead(url === "/v1/apis" ? status : 200);
    answer.end(url === "/v1/apis" ? '{"apis":[{}],"status":401,"detail":"Who asks?"}' : pod);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  doors.set(pod, server);
}

const toDoors = (): PodForwarder => ({
  open: async (pod, socket) => {
    const server = doors.get(pod);
    if (server === undefined) throw new ForwardRefused(404);
    const far = connectTcp((server.address() as AddressInfo).port, "127.0.0.1");
    await once(far, "connect");
    far.on("error", () => socket.destroy());
    far.once("close", () => socket.destroy());
    socket.once("close", () => far.destroy());
    socket.pipe(far).pipe(socket);
  },
});

interface Connected {
  readonly address: string;
  readonly out: string;
  err(): string;
  /** As Ctrl-C; its exit code. */
  end(): Promise<number>;
}

/** Once it has said its address. */
async function connected(options: Partial<ConnectOptions> = {}, parts: Partial<Cli> = {}): Promise<Connected> {
  const asked = new AbortController();
  const out = aSink();
  const err = aSink();
  const said = Promise.withResolvers<undefined>();
  const cli = user.cli({
    out: {
      ...out.sink,
      write: (text) => {
        out.sink.write(text);
        said.resolve(undefined);
      },
    },
    err: err.sink,
    interrupts: { take: () => asked.signal },
    ...parts,
  });
  const running = connectBy(toDoors, cli, "photos", { port: 0, kubeconfig, ...options });
  const end = () => {
    asked.abort();
    return running;
  };
  closers.push(() => end().catch(() => undefined)); // the test has seen why
  await Promise.race([said.promise, running]);
  const address = /answers at (\S+)/.exec(out.text())?.[1] ?? "";
  return { address, out: out.text(), err: err.text, end };
}

async function who({ address }: Connected): Promise<string> {
  return (await fetch(`${address}/who`)).text();
}

describe("millrace connect", () => {
  it("says where the API answers and what to type next, and is where the other commands go until it ends", async () => {
    kubernetes.put(A);
    await openDoor("a");
    await user.run(["context", "add", "prod", "--address", "https://batch.test"]);

    const connection = await connected();

    expect(connection.out).toBe(
      `photos answers at ${connection.address} until Ctrl-C; next, in another terminal: millrace submit photos INPUT…\n`,
    );
    expect(connection.address).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const path = join(user.home, ".config/millrace/contexts.json");
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const context = { name: "photos", address: connection.address };
    const command = `millrace connect photos --namespace batch-photos --kubeconfig ${kubeconfig}`;
    const heldBy = { api: "photos", namespace: NAMESPACE, cluster: "dev", command, previous: "prod" };
    const saved = JSON.parse(await readFile(path, "utf8")) as { contexts: unknown[] };
    expect(saved).toMatchObject({ current: "photos" });
    expect(saved.contexts[1]).toMatchObject({ ...context, heldBy });
    expect(await who(connection)).toBe("a");
    expect(await connection.end()).toBe(0);
    expect(connection.err()).toBe("ended; commands go to prod, https://batch.test\n");
    expect((await user.run(["context", "--output", "json"])).out).not.toContain("photos");
    await expect(who(connection)).rejects.toThrow();
  });

  it("speaks to programs", async () => {
    kubernetes.put(A);
    await openDoor("a");

    const { out } = await connected({ output: "json", name: "p" });

    expect(JSON.parse(out)).toMatchObject({ context: "p", api: "photos", namespace: NAMESPACE });
  });

  it("goes to another pod once its own is going, and says so", async () => {
    kubernetes.put(A);
    await openDoor("a");
    await openDoor("b");
    const connection = await connected();
    expect(await who(connection)).toBe("a");

    kubernetes.put(B);
    expect(await who(connection)).toBe("a");
    kubernetes.put({ ...A, going: true });

    await expect.poll(() => who(connection)).toBe("b");
    expect(connection.err()).toBe("moved to pod b\n");
  });

  it("tries the next pod at once when one refuses", async () => {
    kubernetes.put(A);
    kubernetes.put(B); // the newer one, which is asked first
    await openDoor("a");

    expect(await who(await connected())).toBe("a");
  });

  it("tells once that no pod can be reached, and when one answers again", async () => {
    kubernetes.put(A);
    await openDoor("a");
    const connection = await connected({}, { clock: new HurriedClock() });
    const door = doors.get("a");
    doors.delete("a");

    const refused = [await fetch(`${connection.address}/who`), await fetch(`${connection.address}/who`)];

    expect(refused.map(({ status }) => status)).toEqual([503, 503]);
    const words =
      'the cluster of context "dev" forwards no port to pods of namespace batch-photos (HTTP 404); ' +
      "the pod's node may not answer: `kubectl get nodes` tells, and another try may reach another pod";
    expect(await refused[0]?.json()).toMatchObject({ code: "backend_unwell", detail: words });
    if (door !== undefined) doors.set("a", door);
    expect(await who(connection)).toBe("a");
    expect(connection.err()).toBe(`${words}\npod a answers again\n`);
  });

  it("waits for a pod to be ready", async () => {
    kubernetes.put(A);
    await openDoor("a");
    const connection = await connected();
    await expect.poll(() => kubernetes.watches).toBe(1);
    kubernetes.put({ ...A, ready: false });
    await expect
      .poll(
        async () => await fetch(`${connection.address}/who`, { signal: AbortSignal.timeout(50) }).catch(() => "waits"),
      )
      .toBe("waits");
    const answer = who(connection);

    kubernetes.put(A);

    expect(await answer).toBe("a");
  });

  it("does not touch the context of another connection of its name", async () => {
    kubernetes.put(A);
    await openDoor("a");
    await connected();

    const second = connected();

    await expect(second).rejects.toThrow(
      /another `millrace connect` holds context "photos" \(batch-photos of dev, process/,
    );
    expect((await user.run(["context", "--output", "json"])).out).toContain('"current": "photos"');
  });

  it("says that a service wants to know who asks", async () => {
    kubernetes.put(A);
    await openDoor("a", 401);

    const { out } = await connected();

    expect(out).toContain("(it answers: Who asks? Set MILLRACE_API_KEY");
  });
});

describe("the way to a pod", () => {
  it.each([403, 404, 500])(
    "rejects with the API server's status %i, and leaves the socket as it was",
    async (status) => {
      kubernetes.refusals.set("portforward", status);
      const { KubeConfig } = await import("@kubernetes/client-node");
      const kubeConfig = new KubeConfig();
      kubeConfig.loadFromFile(kubeconfig);
      const socket = connectTcp(Number(new URL(kubernetes.address).port), "127.0.0.1");
      await once(socket, "connect");
      const forwarder = podForwarder({ kubeConfig, namespace: NAMESPACE, port: 1, clock: realClock });

      const opening = forwarder.open("a", socket, () => {});

      await expect(opening).rejects.toEqual(new ForwardRefused(status));
      expect(socket.readableFlowing).toBe(null);
      socket.destroy();
    },
  );
});
