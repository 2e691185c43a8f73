/** Environment variables, said once. What a worker process is told by its pool, and a service by its operator. */
export const ENV = {
  /** service: where all laptop state lives (store, logs, socket). */
  root: "MILLRACE_ROOT",
  /** worker: API, job, lane, epoch, generation and index that it belongs to. */
  api: "MILLRACE_API",
  job: "MILLRACE_JOB",
  lane: "MILLRACE_LANE",
  epoch: "MILLRACE_EPOCH",
  generation: "MILLRACE_GENERATION",
  index: "MILLRACE_INDEX",
  /** worker: random part of its incarnation's name, when its pool chose it; else it draws one. */
  incarnation: "MILLRACE_INCARNATION",
  /** worker on a laptop: Unix socket of the service's queue. */
  socket: "MILLRACE_SOCKET",
  /** worker: folder that it may fill and empty (unpacked projects and environments). */
  scratch: "MILLRACE_SCRATCH",
  /** handler process: which of the worker's processes it is, from 0. */
  processIndex: "MILLRACE_PROCESS_INDEX",
  /** Command of the Python to use for environments and handlers; default python3. */
  python: "MILLRACE_PYTHON",
  /** Any endpoint that speaks S3. */
  awsEndpoint: "AWS_ENDPOINT_URL",
  /** CLI: address of the service. */
  address: "MILLRACE_ADDRESS",
} as const;
