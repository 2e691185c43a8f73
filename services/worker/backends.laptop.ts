/** A worker beside its service: folders, and the service's queue over a Unix socket. */
import { join } from "node:path";
import type { Environment } from "../backends/cloud-config.ts";
import { connectQueue } from "../backends/batch-queue.socket.ts";
import { datasetFor } from "../backends/dataset.by-scheme.ts";
import { FilesDataset } from "../backends/dataset.files.ts";
import { s3FromEnvironment } from "../backends/dataset.s3.ts";
import type { Dataset } from "../backends/dataset.ts";
import { environmentPython } from "../backends/environment-python.ts";
import { FileLogStore } from "../backends/log-store.files.ts";
import { openFileStore } from "../backends/object-store.files.ts";
import { writeProcessFile } from "../backends/process-files.ts";
import type { WorkerBackends } from "./backends.ts";
import type { LaptopPlace, WorkerConfig } from "./config.ts";
import type { WorkerPace } from "./context.ts";

/** A lease is 5 s here. */
const PACE: WorkerPace = {
  pollSeconds: 0.5,
  laneReadSeconds: 0.1,
  flushSeconds: 0.004,
  flushSecondsPerWorker: 0,
  drainSeconds: 20,
};

export async function openLaptop(
  { identity, incarnation }: WorkerConfig,
  { root, socket }: LaptopPlace,
  environment: Environment,
): Promise<WorkerBackends> {
  const store = await openFileStore({ root: join(root, "store") });
  const queue = await connectQueue(socket, { ...identity, incarnation });
  return {
    store,
    queue,
    dataset: datasetOf(environment),
    logs: new FileLogStore({ root: join(root, "logs") }),
    pace: PACE,
    abandoned: queue.closed,
    python: (key) => Promise.resolve(environmentPython(root, key)),
    noteHandlers(pids) {
      writeProcessFile(root, identity.name, process.pid, pids);
    },
    close: () => store.close(),
  };
}

/** What the service could split, its workers can read: paths were checked against the allowed folders before. */
function datasetOf(environment: Environment): Dataset {
  const files = new FilesDataset({ roots: ["/"], allowOption: "--allow" });
  const s3 = s3FromEnvironment(environment);
  return datasetFor(s3 === undefined ? { files } : { files, s3 });
}
