/**
 * The seam that runs workers: child processes on a laptop, Indexed Jobs on Kubernetes. A pool holds generations of
 * workers; a generation is named by (job, epoch, generation), so that starting it twice starts it once.
 */
export interface GenerationName {
  readonly api: string;
  readonly job: string;
  readonly lane: number;
  readonly epoch: number;
  readonly generation: number;
}

/**
 * pending: asked for, not running yet (waits for a node, pulls its image) · running · ended: its process is gone for certain.
 */
export type WorkerPhase = "pending" | "running" | "ended";

/**
 * What a platform knows of a worker beside its phase. waiting_for_node, pulling (its image), starting (volumes, containers,
 * readiness) · ready · lost: its node does not answer, so whether it still runs is not known · out_of_memory: why it ended.
 */
export type WorkerState = "waiting_for_node" | "pulling" | "starting" | "ready" | "lost" | "out_of_memory";

export interface PoolWorker {
  readonly generation: number;
  readonly index: number;
  /** The incarnation's name, as it stands in its ledger keys: `<epoch>-<generation>-<index>-<random>`; undefined until it runs. */
  readonly worker?: string;
  readonly phase: WorkerPhase;
  /** Exit code once ended; undefined when a signal or the machine ended it. */
  readonly exitCode?: number;
  readonly signal?: string;
  /** True when it was ended on behalf of the platform (drain, eviction): charged to nobody. */
  readonly disrupted?: boolean;
  /** Why a pending worker waits, in words, with the fix. */
  readonly waitingFor?: string;
  /** Undefined where the platform tells no more than the phase. */
  readonly state?: WorkerState;
}

/**
 * The platform refused a generation for what it is: asking again would bring the same answer. `message` is one sentence
 * that holds the platform's own words, fit for the job's state.
 */
export class PoolRefused extends Error {
  override readonly name = "PoolRefused";
}

export interface WorkerPool {
  /**
   * Starts a generation of `workers` (>= 1) workers, indexes 0 to workers - 1. Does nothing when it exists already. Throws
   * `PoolRefused` when trying again is of no use.
   */
  start(name: GenerationName, workers: number): Promise<void>;

  /** Raises a generation's size; never lowers it. Does nothing when the generation does not exist. */
  resize(name: GenerationName, workers: number): Promise<void>;

  /** All workers of a job's lane epoch, ended ones included. Long after `stop` the pool may have forgotten them. */
  workers(job: string, epoch: number): Promise<readonly PoolWorker[]>;

  /**
   * Ends all workers of a job whose epoch is <= `epoch`: drain first, kill after the grace. Resolves when they are gone; those
   * on a machine that does not answer cannot be seen to go, so the pool gives them up after a limit of its own and says so.
   */
  stop(job: string, epoch: number): Promise<void>;

  /** Resolves when the pool answers; throws when it does not. */
  probe(): Promise<void>;
}
