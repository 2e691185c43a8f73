/** The doors over a root whose service is not running: jobs, results and logs can be read, nothing runs. */
import { join } from "node:path";
import { Registry } from "prom-client";
import { datasetFor } from "../services/backends/dataset.by-scheme.ts";
import { FilesDataset } from "../services/backends/dataset.files.ts";
import { VenvEnvironments } from "../services/backends/environments.venv.ts";
import { FileLogStore } from "../services/backends/log-store.files.ts";
import { openFileStore, type FileStore } from "../services/backends/object-store.files.ts";
import { Apis } from "../services/batch-api/apis/apis.ts";
import { buildApp } from "../services/batch-api/app.ts";
import { LOOPBACK_CALLERS } from "../services/batch-api/auth/admission.ts";
import { createJobService } from "../services/batch-api/jobs/jobs.ts";
import type { AddressInfo } from "node:net";
import type { Cli } from "./cli.ts";

export interface StoredDoors {
  readonly address: string;
  close(): Promise<void>;
}

/** Opens them on a free port of this machine. */
export async function openStoredDoors(cli: Cli, root: string): Promise<StoredDoors> {
  const store = await openFileStore({ root: join(root, "store") });
  const app = await buildApp({
    jobs: storedJobs(cli, root, store),
    apis: storedApis(cli, root, store),
    metrics: new Registry(),
    clock: cli.clock,
    random: cli.random,
    readiness: () => ({ kind: "ready" }),
    hosts: { kind: "loopback" },
    authenticator: LOOPBACK_CALLERS,
    version: cli.version,
  });
  await app.listen({ host: "127.0.0.1", port: 0 });
  const { port } = app.server.address() as AddressInfo;
  return {
    address: `http://127.0.0.1:${String(port)}`,
    close: async () => {
      await app.close();
      await store.close();
    },
  };
}

export function storedApis(cli: Cli, root: string, store: FileStore): Apis {
  const environments = new VenvEnvironments({ root, python: "python3", env: cli.environment, clock: cli.clock });
  return new Apis({ store, environments, stopAllJobs: () => Promise.resolve() });
}

export function storedJobs({ clock, random }: Cli, root: string, store: FileStore) {
  return createJobService({
    store,
    dataset: datasetFor({ files: new FilesDataset({ roots: [], allowOption: "--allow" }) }),
    logs: new FileLogStore({ root: join(root, "logs") }),
    clock,
    random,
    lanes: 0,
    live: () => undefined,
    poke: () => undefined,
  });
}
