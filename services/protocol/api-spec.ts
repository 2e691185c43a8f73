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

export interface HandlerSpec {
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

export interface ComputeSpec {
  /** Kubernetes quantities; null: no wish. Not enforced on a laptop. */
  readonly cpu: string | null;
  readonly mem: string | null;
  readonly gpu: number;
}
