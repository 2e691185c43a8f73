/**
 * The API spec: what an ML engineer says in `millrace.yaml` (or an old `cortex.yaml`). Stored, resolved, in each version
 * object; the schema and the parser stand in `api-spec.parse.ts`.
 */
export interface ApiSpec {
  readonly name: string;
  readonly handler: HandlerSpec;
  readonly compute: ComputeSpec;
  /** Passed to the handler; a submission's config is merged over it, deeply. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Environment variables of the handler; never logged. */
  readonly env: Readonly<Record<string, string>>;
  /** Defaults of submissions that do not say. */
  readonly workers: number;
  readonly batch_size: number;
  readonly attempts: number;
  readonly isolate: boolean;
  readonly batch_timeout_seconds: number | null;
  /** Which spelling of responses the Cortex door uses. */
  readonly cortex_dialect: string;
  /** Read from a Cortex file: what a handler returns that is no list of the payload's length is ignored with a warning. */
  readonly cortex_project: boolean;
}

/** What runs the batches. */
export type HandlerSpec = PythonHandlerSpec | ContainerHandlerSpec;

export interface PythonHandlerSpec {
  readonly kind: "python";
  /** File of the handler class, relative to the project's root, with `/`. */
  readonly path: string;
  /** Folder put on PYTHONPATH beside the project's root; null: none. */
  readonly python_path: string | null;
  /** Handler processes per worker, >= 1. */
  readonly processes: number;
  readonly log_level: "debug" | "info" | "warning" | "error";
  /** Files that say what the environment needs, relative to the project's root; used when they exist. */
  readonly dependencies: { readonly pip: string; readonly conda: string; readonly shell: string };
}

/** The user's own containers beside the worker, spoken to by HTTP (docs/containers.md). Only clusters run them. */
export interface ContainerHandlerSpec {
  readonly kind: "container";
  /** Where the one that takes batches listens, on 127.0.0.1 of the pod. */
  readonly port: number;
  /** Batches that a worker may have in flight at once, >= 1; `pod.max_concurrency`. */
  readonly processes: number;
  /** How long the containers may take until they are ready, at the start and after a break. */
  readonly start_timeout_seconds: number;
  /** At least one, names distinct. */
  readonly containers: readonly ContainerSpec[];
}

export interface ContainerSpec {
  /** A DNS label. */
  readonly name: string;
  readonly image: string;
  /** Kubernetes' words: `command` replaces the image's entry point, `args` its command; null: the image's own. */
  readonly command: readonly string[] | null;
  readonly args: readonly string[] | null;
  /** Never logged, never shown. */
  readonly env: Readonly<Record<string, string>>;
  readonly compute: ComputeSpec & {
    /** Size of /dev/shm, a Kubernetes quantity; null: the runtime's own (64 MiB). */
    readonly shm: string | null;
  };
  /** Asked by the worker: no batch begins before it succeeds. */
  readonly readiness_probe: ProbeSpec | null;
  /** Asked by Kubernetes, which starts the container again when it fails. */
  readonly liveness_probe: ProbeSpec | null;
}

export interface ProbeSpec {
  readonly check:
    | { readonly kind: "http_get"; readonly path: string; readonly port: number }
    | { readonly kind: "tcp_socket"; readonly port: number }
    | { readonly kind: "exec"; readonly command: readonly string[] };
  readonly initial_delay_seconds: number;
  readonly timeout_seconds: number;
  readonly period_seconds: number;
  readonly success_threshold: number;
  readonly failure_threshold: number;
}

export interface ComputeSpec {
  /** Kubernetes quantities; null: no wish. Not enforced on a laptop. */
  readonly cpu: string | null;
  readonly mem: string | null;
  readonly gpu: number;
}
