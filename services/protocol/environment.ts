/** Environment variables, said once. What a worker process is told by its pool, and a service by its operator. */
export const ENV = {
  /** service: where all laptop state lives (store, logs, socket). */
  root: "MILLRACE_ROOT",
  /** Where durable state lives in the cloud: `s3://<bucket>`. Not set on a laptop, where `root` says it. */
  store: "MILLRACE_STORE",
  /** Queue URLs of the API's lanes in their order, separated by commas: lane n is the n-th, counted from 0. */
  lanes: "MILLRACE_LANES",
  /** Log group of the API. */
  logGroup: "MILLRACE_LOG_GROUP",
  /** How long a lease lasts, seconds; default 60. */
  leaseSeconds: "MILLRACE_LEASE_SECONDS",
  /** service: Kubernetes namespace of the API's worker Jobs. */
  namespace: "MILLRACE_NAMESPACE",
  /** service: name of the PodTemplate that new versions of the API copy. */
  podTemplate: "MILLRACE_POD_TEMPLATE",
  /** service: who owns the API's code: `deployed` or `pinned:<stack>` (code-owner.ts). */
  code: "MILLRACE_CODE",
  /** service: workers that one job may ask for at most; default `LIMITS.workersMax`. */
  workersMax: "MILLRACE_WORKERS_MAX",
  /** service: further APIs that it may be asked to host under its own keys, rights and lanes; default 0: none. */
  createApisMax: "MILLRACE_CREATE_APIS_MAX",
  /** service: days for which results and records of ended jobs are kept, or `forever` (retention.ts). */
  resultsDays: "MILLRACE_RETENTION_RESULTS_DAYS",
  recordsDays: "MILLRACE_RETENTION_RECORDS_DAYS",
  /** service: where its doors listen, inside its pod, and its health and metrics. */
  port: "MILLRACE_PORT",
  healthPort: "MILLRACE_HEALTH_PORT",
  /** service: how the doors tell who asks, as JSON of `AuthConfig`; default none: loopback only. */
  auth: "MILLRACE_AUTH",
  /** service: file with the hashes of API keys, for `{"kind": "apiKeys"}`. */
  apiKeysFile: "MILLRACE_API_KEYS_FILE",
  /** service: service account of the pods that build environments; default: the workers' own. */
  builderServiceAccount: "MILLRACE_BUILDER_SERVICE_ACCOUNT",
  /** builder of environments: key of the one to build. */
  buildEnvironment: "MILLRACE_BUILD_ENVIRONMENT",
  /** worker in a pod: seconds from SIGTERM to SIGKILL. */
  graceSeconds: "MILLRACE_GRACE_SECONDS",
  /** worker in a pod: the pod's uid, whose first 8 hex digits name the incarnation. */
  podUid: "MILLRACE_POD_UID",
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
  /** Another endpoint than AWS's, for all of its services and for S3 alone; the SDKs read them too. */
  awsEndpoint: "AWS_ENDPOINT_URL",
  awsS3Endpoint: "AWS_ENDPOINT_URL_S3",
  awsSqsEndpoint: "AWS_ENDPOINT_URL_SQS",
  /** CLI: address of the service. */
  address: "MILLRACE_ADDRESS",
  /** CLI: API key or access token that it shows to the service. */
  apiKey: "MILLRACE_API_KEY",
} as const;

/**
 * A worker's program with this argument writes `job.json` into this folder and ends: an init container runs it, so that the
 * user's own containers find their job there, as in the predecessor's pods.
 */
export const JOB_FILE = { task: "job-file", folder: "/cortex/spec" } as const;

/** The environment variables of a process do not let it start; the message names all faults at once, a line each. */
export class Misconfigured extends Error {
  override readonly name = "Misconfigured";
}
