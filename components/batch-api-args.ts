/** What a `BatchApi` is told: the envelope of an API, which its platform engineer owns. */
import type { Input } from "@pulumi/pulumi";
import type { JwtAuthConfig, NetworkAuthConfig, Scope } from "../services/protocol/auth.ts";
import type { BatchCluster } from "./batch-cluster.ts";
import type { Compute } from "./batch-api/worker-template.ts";
import type { Statement } from "./statements.ts";
import type { Tags } from "./tags.ts";
import type { WorkerNodeGroup } from "./worker-node-group.ts";

export interface BatchApiArgs {
  /** Where it runs, and through it the store that its jobs are kept in. */
  readonly cluster: BatchCluster;
  /**
   * Who says what code it runs, never both: this stack (`project`: a folder with a millrace.yaml or cortex.yaml of this name,
   * uploaded by `pulumi up`), or whoever deploys to its service (`deployed`: `millrace deploy`, the Python client).
   */
  readonly code: { readonly kind: "project"; readonly path: string } | { readonly kind: "deployed" };
  /**
   * Node groups of its workers, the preferred ones first, all of one architecture. Default: none of its own; workers run on the
   * system nodes, which are few: for small tasks alone.
   */
  readonly runsOn?: readonly WorkerNodeGroup[];
  /** What jobs may read: `s3://bucket/prefix` URIs. Default: nothing but what a submission brings itself. */
  readonly reads?: readonly string[];
  /** Where handlers may write by themselves. Managed results need none of it. Default: nowhere. */
  readonly writes?: readonly string[];
  /** Keys of yours that encrypt what is read and written there (ARNs of KMS keys). */
  readonly datasetKeyArns?: readonly Input<string>[];
  /** What handlers may do on AWS beside that. Example: `readDataset(…)`, or statements of your own. Default: nothing. */
  readonly permissions?: readonly Statement[];
  /** Environment variables of handlers. They are kept in the store with each version: put secrets into `secrets`. */
  readonly env?: Readonly<Record<string, Input<string>>>;
  /** The same, kept in a Kubernetes Secret: new values reach running jobs' next workers. */
  readonly secrets?: Readonly<Record<string, Input<string>>>;
  /** What each worker gets; what is left out is up to the project's `compute`. On GPU nodes a pinned project has 1 GPU by default. */
  readonly compute?: Compute;
  /** Workers of one job at most, 1 to 10,000; a submission that asks for more is refused. Default 100. */
  readonly workersMax?: number;
  /** Jobs that run at the same time, 1 to 100; others wait their turn. Default 4. It may be lowered: their jobs move to other lanes. */
  readonly concurrentJobsMax?: number;
  /**
   * ARNs of queues that the service may send failed batches to, which submissions then name as their `dead_letter_queue`. Default:
   * none. A queue with a key of its own also needs the right to that key.
   */
  readonly deadLetterQueues?: readonly Input<string>[];
  /** Told when a message went astray (ARNs of SNS topics). Default: nobody. */
  readonly alarmActions?: readonly Input<string>[];
  /** How callers show who they are. Default: nobody can call but through `connect`, whose users Kubernetes knows. */
  readonly auth?: ApiAuth;
  /** How callers from outside of the cluster reach it; default none: `millrace connect` forwards a port. */
  readonly ingress?: ApiIngress;
  /**
   * Images by digest (`repository@sha256:…`); then nothing is built. Default: this package's own programs, built by
   * `RuntimeImage`. The workers' may be any that the worker's Dockerfile makes of a base of yours.
   */
  readonly image?: { readonly service?: Input<string>; readonly worker?: Input<string> };
  /** Replicas of the service, 1 to 10; default 2, so that updates and lost nodes are not noticed. */
  readonly replicas?: number;
  /** Of a pinned project: what this stack changes in its spec, field by field. */
  readonly overrides?: SpecOverrides;
  /**
   * Further APIs that callers with scope `admin` may make here by deploying to new names (the predecessor's `create_api`): how many
   * at most, 1 to 100. They have this one's rights, nodes, lanes and logs, and code of their own. Default: none.
   */
  readonly createApis?: { readonly namesMax: number };
  /** How long logs are kept, days: one of `LOG_RETENTION_DAYS`; default 30. */
  readonly logRetentionDays?: number;
  /**
   * How long what ended jobs leave behind is kept, days (1 to 3,650) or `"forever"`: results (rows and error rows), and the whole record
   * (state, counts, input), with which results go at the latest. Default: results 90 days, records 365.
   */
  readonly retention?: { readonly resultsDays?: number | "forever"; readonly recordsDays?: number | "forever" };
  readonly tags?: Tags;
}

/**
 * - `apiKeys`: static keys of people and programs; `millrace api-key NAME` makes one and prints what goes here.
 * - `jwt`: access tokens that an OpenID Connect issuer signs.
 * - `network`: whoever calls from these networks, unasked: for clients that cannot send a key, and not for the internet.
 */
export type ApiAuth =
  { readonly kind: "apiKeys"; readonly keys: readonly ApiKey[] } | JwtAuthConfig | NetworkAuthConfig;

export interface ApiKey {
  /** Who uses it. */
  readonly name: string;
  /** Lower-case hex of the key's SHA-256: the key itself stays with its user. */
  readonly sha256: Input<string>;
  /** `read`, `submit` (and read) or `admin` (and both). */
  readonly scopes: readonly Scope[];
}

export type ApiIngress =
  | { readonly kind: "none" }
  | {
      readonly kind: "loadBalancer";
      /** `internal`: for networks that reach the VPC; `internetFacing`: for all `cidrs`. */
      readonly scheme: "internal" | "internetFacing";
      /** ARN of a certificate in ACM, for a name of yours that leads to the balancer. */
      readonly certificateArn: Input<string>;
      /** Networks that may call. */
      readonly cidrs: readonly string[];
      /** The certificate's name, which `endpoint` then tells. Default: the balancer's own, which no certificate fits. */
      readonly hostname?: string;
    };

/** Fields of `millrace.yaml` that may differ by stack. */
export interface SpecOverrides {
  /** Merged over the project's, field by field of the first level. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly workers?: number;
  readonly batchSize?: number;
  readonly attempts?: number;
  readonly isolate?: boolean;
  readonly batchTimeoutSeconds?: number;
}

export const BATCH_API_DEFAULTS = { workersMax: 100, concurrentJobsMax: 4, replicas: 2 } as const;
