/**
 * The doors as a pod opens them, in a process of its own: they ask everybody for a key, stand for one API and host others under it.
 * Behind them lies a whole service over memory, with workers that are no processes. Says in one line where it listens; then tells each answer,
 * `STATUS METHOD PATH`, and whether a key was shown, on its standard error. Ends with its input.
 */
import type { AddressInfo } from "node:net";
import { pino } from "pino";
import { MemoryQueue } from "../../../services/backends/batch-queue.memory.ts";
import { realClock, realRandom } from "../../../services/backends/clock.real.ts";
import { MemoryLogStore } from "../../../services/backends/log-store.memory.ts";
import { MemoryStore } from "../../../services/backends/object-store.memory.ts";
import { buildApp } from "../../../services/batch-api/app.ts";
import { ApiKeyRing } from "../../../services/batch-api/auth/api-keys.ts";
import { encodeStored } from "../../../services/batch-api/jobs/stored.ts";
import { buildService, type Service } from "../../../services/batch-api/service.ts";
import { apiKeyHash } from "../../../services/protocol/api-keys.ts";
import type { Scope } from "../../../services/protocol/auth.ts";
import { apiKeys } from "../../../services/protocol/keys.ts";
import { aVersion } from "../../support/builders.ts";
import { InProcessPool } from "../../support/in-process-pool.ts";
import { MemoryDataset } from "../../support/memory-dataset.ts";

const HOST = "photos";
const HOSTED_MAX = 3;
const clocks = { clock: realClock, random: realRandom };
const parts: { service?: Service } = {};

const queue = new MemoryQueue({
  clock: realClock,
  leaseSeconds: 5,
  onActivity: () => parts.service?.replica.wakeAll(),
});
/** One for all, so that its end with a worker is none. */
const store = Object.assign(new MemoryStore({ clock: realClock }), { close: () => Promise.resolve() });
const dataset = new MemoryDataset();
const pace = { pollSeconds: 0.5, laneReadSeconds: 0.1, flushSeconds: 0.004, flushSecondsPerWorker: 0, drainSeconds: 2 };
const pool = new InProcessPool({
  ...{ ...clocks, queue, dataset, pace, openStore: () => Promise.resolve(store) },
  onEnded: (job) => parts.service?.replica.wakeDriver(job),
});
const logger = pino({ level: "info" }, pino.destination({ dest: 2, sync: true }));
const service = buildService({
  ...{ store, queue, pool, dataset, logs: new MemoryLogStore(), log: logger, only: HOST, createApisMax: HOSTED_MAX },
  pace: { tickMs: 100, tickMinMs: 8, stallMs: 300_000, busyMs: 250, idleMs: 1_000 },
  environments: { build: () => Promise.resolve(null) },
  replica: { id: "fuzzed", lanes: 4, alone: true, onFatal: fatal },
});
parts.service = service;

const version = aVersion({ api: HOST });
await store.put(apiKeys(HOST).version(version.version), encodeStored(version));
await store.swap(apiKeys(HOST).current, encodeStored({ version: version.version, generation: 1 }), undefined);

const ring = new ApiKeyRing();
const scopes: readonly Scope[] = ["read", "submit", "admin"];
ring.hold(scopes.map((scope) => ({ name: scope, sha256: apiKeyHash(`key-to-${scope}`), scopes: [scope] })));
const { jobs, apis, metrics, replica } = service;
const app = await buildApp({
  ...{ ...clocks, jobs, apis, metrics, version: "0.0.0", readiness: () => ({ kind: "ready" }) as const },
  ...{ hosts: { kind: "any" }, authenticator: ring, drainSeconds: 1 },
  logger: { level: "info", stream: process.stderr },
});
app.server.prependListener("request", ({ method = "", url = "", headers }, answer) => {
  const shown = headers.authorization ?? headers["x-api-key"] ?? "";
  answer.once("finish", () =>
    process.stderr.write(
      `${String(answer.statusCode)} ${method} ${url.split("?", 1)[0] ?? ""} ${shown === "" ? "nobody" : "somebody"}\n`,
    ),
  );
});
await app.listen({ host: "127.0.0.1", port: 0 });
replica.run(new AbortController().signal).catch(fatal);
process.stdin.once("end", () => process.exit(0)).resume();
process.stdout.write(`http://127.0.0.1:${String((app.server.address() as AddressInfo).port)}\n`);

function fatal(error: unknown): void {
  process.stderr.write(`the service cannot go on: ${String(error)}\n`);
  process.exit(70);
}
