import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CliUser } from "../support/a-cli.ts";
import { FakeKubernetes, kubeConfigOf } from "../support/fake-kubernetes.ts";

const NAMESPACE = "batch-photos";
const A = { name: "a", namespace: NAMESPACE, api: "photos" };

let user: CliUser;
let kubernetes: FakeKubernetes;
let kubeconfig: string;

beforeEach(async () => {
  user = await CliUser.create();
  kubernetes = await FakeKubernetes.start();
  kubeconfig = join(user.home, "kubeconfig");
  await kubernetes.writeKubeConfig(kubeconfig);
});

afterEach(async () => {
  await kubernetes.stop();
  await user.remove();
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
