import { once } from "node:events";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { connect as connectTcp, type AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connectBy, type ConnectOptions } from "../../cli/commands/connect.ts";
import { ForwardRefused, podForwarder, type PodForwarder } from "../../cli/connect/pod-forwarder.ts";
import { realClock } from "../../services/backends/clock.real.ts";
import type { Cli } from "../../cli/cli.ts";
import { aSink, CliUser } from "../support/a-cli.ts";
import { FakeKubernetes, kubeConfigOf } from "../support/fake-kubernetes.ts";
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

describe("millrace connect, refused", () => {
  const run = (line: string, environment: Record<string, string> = {}) =>
    user.run(line.split(" "), { environment: { KUBECONFIG: kubeconfig, ...environment } });

  it.each([
    ["connect Photos", 2, "API: found characters that no API name has; use a-z"],
    [
      "connect photos --context prdo",
      2,
      '--context: there is no context "prdo" (it has dev); choose one with --context',
    ],
    ["connect photos --context de", 2, 'it has dev); did you mean "dev"?'],
    ["connect photos --kubeconfig nowhere", 2, "nowhere does not exist; have one written (`aws eks update-kubeconfig"],
    ["connect photos --api-key-file nowhere", 2, "nowhere cannot be read (ENOENT)"],
    ["connect photos", 5, "there is no namespace batch-photos; this cluster has videos; name another one"],
    ["connect vidoes", 5, "did you mean `millrace connect videos`?"],
    ["connect video --namespace batch-videos", 5, 'did you mean "videos"? there is videos'],
    [
      "connect videos --namespace batch-photos",
      5,
      "it runs in batch-videos: `millrace connect videos --namespace batch-videos`",
    ],
  ])("`%s`: one sentence with the fix", async (line, code, words) => {
    kubernetes.put({ name: "v", namespace: "batch-videos", api: "videos" });

    const refused = await run(line);

    expect(refused).toMatchObject({ code, out: "" });
    expect(refused.err).toContain(words);
    expect(refused.err.trim().split("\n")).toHaveLength(1);
  });

  it("names the kubeconfig that is missing or broken", async () => {
    const none = await user.run(["connect", "photos"]);
    await mkdir(join(user.home, ".kube"));
    await writeFile(join(user.home, ".kube/config"), "clusters: [{name: a}]");
    const broken = await user.run(["connect", "photos"]);

    expect(none.err).toContain(`kubeconfig: ${join(user.home, ".kube/config")} does not exist; have one written`);
    expect(broken.err).toContain("config is none (clusters[0].cluster is missing); correct it");
  });

  it("reads several files as kubectl does: the first of a name counts", async () => {
    kubernetes.put({ ...A, ready: false });
    const wrong = join(user.home, "wrong");
    await writeFile(wrong, JSON.stringify(kubeConfigOf({ name: "dev", server: "http://127.0.0.1:1", user: {} })));

    const read = await run("connect photos", { KUBECONFIG: `nowhere:${kubeconfig}:${wrong}` });

    expect(read.err).toContain('no pod of API "photos" is ready');
  });

  it.each([
    [{ ...A, ready: false }, "pod a runs and is not ready: `kubectl logs a --namespace batch-photos` says more"],
    [{ ...A, going: true }, "its pods are going, and no new one has come"],
    [
      { ...A, ready: false, waiting: ["ErrImagePull", "not found"] as const },
      "pod a: image service:1 cannot be pulled: not found",
    ],
  ])("says why no pod is ready (%#)", async (pod, words) => {
    kubernetes.put(pod);

    const refused = await run("connect photos");

    expect(refused).toMatchObject({ code: 6, out: "" });
    expect(refused.err).toContain(words);
  });

  it("says what Kubernetes answered to whoever wanted to make its pods", async () => {
    kubernetes.namespaces.add(NAMESPACE);
    kubernetes.events.push({
      metadata: {},
      reason: "FailedCreate",
      message: "Error creating: exceeded quota",
      involvedObject: { kind: "ReplicaSet", name: "service-1" },
    });

    const refused = await run("connect photos");

    expect(refused.err).toContain("(Kubernetes refuses to make one: exceeded quota)");
  });

  it.each([
    ["pods", 403, 1, '"dev-user" may not list the pods of namespace batch-photos (pods is forbidden'],
    ["pods", 401, 6, 'does not know the credentials of "dev-user"'],
    ["portforward", 401, 6, 'does not know the credentials of "dev-user"'],
    ["portforward", 403, 1, "may not forward a port to pods of namespace batch-photos; have list and watch of pods"],
  ])("says which right is missing: %s, %i", async (what, status, code, words) => {
    kubernetes.put(A);
    kubernetes.refusals.set(what, status);

    const refused = await run("connect photos");

    expect(refused).toMatchObject({ code, out: "" });
    expect(refused.err).toContain(words);
  });

  it("says that the cluster does not answer", async () => {
    await kubernetes.writeKubeConfig(kubeconfig, "dev", {});
    const text = (await readFile(kubeconfig, "utf8")).replace(kubernetes.address, "http://127.0.0.1:1");
    await writeFile(kubeconfig, text);

    const refused = await run("connect photos");

    expect(refused).toMatchObject({ code: 6, out: "" });
    expect(refused.err).toContain("does not answer at http://127.0.0.1:1 (");
    expect(refused.err).toContain("VPN");
  });

  it.each([
    [
      ["nowhere-aws"],
      "signs in with `nowhere-aws`, which is not installed here; install `nowhere-aws`, or put it on PATH",
    ],
    [
      ["sh", "-c", "echo The SSO session has expired. >&2; exit 255"],
      "which fails (The SSO session has expired); run it",
    ],
  ])("says what is wrong with the program that signs in (%#)", async ([command, ...args], words) => {
    const exec = { apiVersion: "client.authentication.k8s.io/v1beta1", command, args };
    await kubernetes.writeKubeConfig(kubeconfig, "eks", { exec });

    const refused = await run("connect photos");

    expect(refused).toMatchObject({ code: 6, out: "" });
    expect(refused.err).toContain(words);
  });

  it("says that the port is taken", async () => {
    kubernetes.put(A);
    const port = new URL(kubernetes.address).port;

    const refused = await run(`connect photos --port ${port}`);

    expect(refused.err).toContain(`--port: port ${port} of 127.0.0.1 is in use by another program; give another one`);
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
