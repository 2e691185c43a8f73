/** The service's program, as a pod runs it, before whom it asks who they are. What it leans on is not there: doors open all the same. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { apiKeyHash, encodeApiKeyLine } from "../../services/protocol/api-keys.ts";
import { encodeAuth, type AuthConfig, type Scope } from "../../services/protocol/auth.ts";
import { ENV } from "../../services/protocol/environment.ts";
import { freePorts } from "../cloud/support/loopback.ts";
import { startServiceProcess, type ServiceProcess } from "../cloud/support/service-process.ts";
import { until } from "../support/a-service.ts";
import { AUDIENCE, Issuer } from "../support/an-issuer.ts";

/** Half the time of a start is compiling. */
const COMPILE_CACHE = join(import.meta.dirname, "../../.cache/compiled");

let folder: string;
let service: ServiceProcess | undefined;
let port: number;
let healthPort: number;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-auth-"));
  [port = 0, healthPort = 0] = await freePorts(2);
});

afterEach(async () => {
  service?.kill("SIGKILL");
  await service?.ended;
  service = undefined;
  await rm(folder, { recursive: true });
});

const lineOf = (key: string, scope: Scope) =>
  `${encodeApiKeyLine({ name: "ann", sha256: apiKeyHash(key), scopes: [scope] })}\n`;

/** Starts it and waits until its doors are open. Nothing that it leans on answers. */
async function start(auth: AuthConfig | undefined, keys?: string): Promise<ServiceProcess> {
  const [nobody = 0] = await freePorts(1);
  const elsewhere = `127.0.0.1:${String(nobody)}`;
  const kubeconfig = join(folder, "kubeconfig");
  await writeFile(kubeconfig, JSON.stringify(kubeconfigFor(`http://${elsewhere}`)));
  const file = join(folder, "keys");
  if (keys !== undefined) await writeFile(file, keys);
  const started = startServiceProcess({
    ...{ [ENV.api]: "photos", [ENV.store]: "s3://acme-batch", [ENV.logGroup]: "/millrace/photos" },
    ...{ [ENV.lanes]: `http://${elsewhere}/1/photos-0`, [ENV.namespace]: "batch", [ENV.podTemplate]: "photos" },
    ...{ [ENV.port]: String(port), [ENV.healthPort]: String(healthPort), KUBECONFIG: kubeconfig },
    ...{ AWS_REGION: "eu-central-1", AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b" },
    ...{ [ENV.awsEndpoint]: `http://${elsewhere}`, NODE_COMPILE_CACHE: COMPILE_CACHE },
    ...(auth === undefined ? {} : { [ENV.auth]: encodeAuth(auth) }),
    ...(keys === undefined ? {} : { [ENV.apiKeysFile]: file }),
  });
  service = started;
  await until("its doors", () => (started.hasEnded() || started.said().includes('"serving"') ? true : undefined));
  return started;
}

function kubeconfigFor(server: string): object {
  return {
    ...{ apiVersion: "v1", kind: "Config", "current-context": "c" },
    clusters: [{ name: "c", cluster: { server } }],
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    users: [{ name: "u", user: {} }],
  };
}

/** Every address of 127/8 is this machine's: what listens on 127.0.0.1 alone does not answer on another one. */
async function statusAt(host: "127.0.0.1" | "127.0.0.2", key?: string, path = "/openapi.json"): Promise<number> {
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  const answer = await fetch(`http://${host}:${String(port)}${path}`, { headers });
  await answer.body?.cancel();
  return answer.status;
}

describe("a service that is not told whom to ask", () => {
  it("answers on the pod's loopback only", async () => {
    await start(undefined);

    expect(await statusAt("127.0.0.1")).toBe(200);
    await expect(statusAt("127.0.0.2")).rejects.toThrow();
  });
});

describe("a service with API keys", () => {
  it("opens to all addresses, asks everybody there, and its health port nobody", async () => {
    await start({ kind: "apiKeys" }, lineOf("k1", "read"));
    const health = await fetch(`http://127.0.0.2:${String(healthPort)}/health/live`);

    expect(await statusAt("127.0.0.2")).toBe(401);
    expect(await statusAt("127.0.0.2", "k1")).toBe(200);
    expect(await statusAt("127.0.0.2", undefined, "/health/live")).toBe(200);
    expect([health.status, await health.json()]).toEqual([200, { status: "ok" }]);
  });

  it("takes other keys without a new start, and says nothing of any", async () => {
    const running = await start({ kind: "apiKeys" }, lineOf("first-secret", "read"));
    expect(await statusAt("127.0.0.1", "second-secret")).toBe(401);

    await writeFile(join(folder, "keys"), lineOf("second-secret", "read"));
    await until("the second key", async () => (await statusAt("127.0.0.1", "second-secret")) === 200 || undefined);

    expect(await statusAt("127.0.0.1", "first-secret")).toBe(401);
    expect(running.said()).toContain("has changed: 1 API key counts from now on");
    expect(running.said()).not.toContain("secret");
  });

  it("ends with 64 where the file has faults or is not there", async () => {
    const running = await start({ kind: "apiKeys" }, `${lineOf("k1", "read")}k2-secret\n`);

    expect(await running.ended).toBe(64);
    expect(running.said()).toContain("line 2: found text that is no JSON");
    expect(running.said()).not.toContain("secret");
  });
});

describe("a service with an issuer", () => {
  it("takes its tokens, and asks to come back while it does not answer", async () => {
    const issuer = await Issuer.start();
    const token = await issuer.token({ claims: { scope: "millrace:read" } });
    const running = await start({ kind: "jwt", issuer: issuer.url, audience: AUDIENCE });

    try {
      issuer.answers.set("/keys", (response) => response.writeHead(500).end());
      expect(await statusAt("127.0.0.2", token)).toBe(503);
      issuer.answers.clear();
      expect(await statusAt("127.0.0.2", token)).toBe(200);
      expect(await statusAt("127.0.0.2", token, "/v1/apis")).toBe(503); // let in, and starting: the store does not answer
      expect(await statusAt("127.0.0.2", await issuer.token({ claims: { aud: "other" } }))).toBe(401);
      expect(running.said()).not.toContain(token.slice(-20));
    } finally {
      await issuer.stop();
    }
  });
});

describe("a service that goes by networks", () => {
  it("warns, and refuses calls from elsewhere whatever their headers say", async () => {
    const running = await start({ kind: "network", cidrs: ["10.0.0.0/8"] });
    const headers = { "x-forwarded-for": "10.0.0.1" };

    const refused = await fetch(`http://127.0.0.1:${String(port)}/openapi.json`, { headers });

    expect(running.said()).toContain("auth is by network: whoever reaches the doors from 10.0.0.0/8 is let in");
    expect([refused.status, await refused.json()]).toMatchObject([403, { code: "network_not_allowed" }]);
  });
});
