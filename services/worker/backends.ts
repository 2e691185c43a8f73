/** What a worker stands on. The two worlds differ here and nowhere else. */
import type { BatchQueue } from "../backends/batch-queue.ts";
import type { Dataset } from "../backends/dataset.ts";
import type { MemoryGauge } from "../backends/memory-gauge.ts";
import type { LogStore } from "../backends/log-store.ts";
import type { ObjectStore } from "../backends/object-store.ts";
import type { WorkerPace } from "./context.ts";

export interface WorkerBackends {
  readonly store: ObjectStore;
  readonly queue: BatchQueue;
  readonly dataset: Dataset;
  readonly logs: LogStore;
  readonly pace: WorkerPace;
  /** Undefined where workers share the memory of a machine with others. */
  readonly memory?: MemoryGauge;
  /** Resolves when the service that alone could end this worker is gone; never in a pod. */
  readonly abandoned: Promise<void>;
  /** Command of the Python of an environment, unpacked here if need be; the key is the version's. */
  python(environment: string): Promise<string>;
  /** Notes the living handlers, by process id, where somebody who survives this worker can end them. */
  noteHandlers(pids: readonly number[]): void;
  /** Everything that was handed over is out, as far as it can be. */
  close(): Promise<void>;
}
