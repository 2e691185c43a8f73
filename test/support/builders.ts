/** Things as tests want them: whole and valid, with only what matters said. */
import type { ApiSpec } from "../../services/protocol/api-spec.ts";
import { JOB_FORMAT, type ApiVersion, type JobSpec } from "../../services/protocol/jobs.ts";
import { LEDGER_FORMAT } from "../../services/protocol/ledger.ts";
import type { Submission } from "../../services/protocol/submission.ts";

/** Three inline items in batches of two, unless said otherwise. */
export function aSubmission(over: Partial<Submission> = {}): Submission {
  return {
    config: {},
    timeoutSeconds: null,
    input: { kind: "item_list", items: ["1", '{"b":2}', '"three"'].map((item) => Buffer.from(item)), batchSize: 2 },
    priority: 0,
    labels: {},
    deadLetterQueue: null,
    ...over,
  };
}

export function anApiSpec(over: Partial<ApiSpec> = {}): ApiSpec {
  return {
    name: "digits",
    handler: {
      kind: "python",
      path: "handler.py",
      python_path: null,
      processes: 1,
      log_level: "info",
      dependencies: { pip: "requirements.txt", conda: "conda-packages.txt", shell: "dependencies.sh" },
    },
    compute: { cpu: null, mem: null, gpu: 0 },
    config: {},
    env: {},
    workers: 2,
    batch_size: 10,
    attempts: 3,
    isolate: true,
    batch_timeout_seconds: null,
    cortex_dialect: "0.42",
    cortex_project: false,
    ...over,
  };
}

export function aVersion(over: Partial<ApiVersion> = {}): ApiVersion {
  return {
    format: JOB_FORMAT,
    api: "digits",
    version: "v1",
    spec: anApiSpec({ name: over.api ?? "digits" }),
    project: "0".repeat(64),
    environment: null,
    worker_format: LEDGER_FORMAT,
    created_at: 1_700_000_000_000,
    ...over,
  };
}

export function aJobSpec(over: Partial<JobSpec> = {}): JobSpec {
  return {
    format: JOB_FORMAT,
    job: "e00000000000000a",
    api: "digits",
    version: "v1",
    submission: "5".repeat(32),
    accepted_at: 1_700_000_000_000,
    workers: 2,
    config: {},
    timeout_seconds: null,
    input: { kind: "item_list", batch_size: 2, items: 6, bytes: 12 },
    attempts: 2,
    isolate: true,
    batch_timeout_seconds: null,
    priority: 0,
    labels: {},
    dead_letter_queue: null,
    warnings: [],
    ...over,
  };
}
