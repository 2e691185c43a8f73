/** Wire shapes of the modern door, for validation of params and queries, and for /openapi.json. */
import { Type } from "typebox";
import { RETRIED_ITEMS } from "../../protocol/jobs.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { RETRY_VERSIONS } from "../../protocol/retry.ts";
import { JOB_STATES } from "../../protocol/states.ts";

const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()]);
const count = (description: string) => Type.Integer({ minimum: 0, description });

export const ProblemSchema = Type.Object(
  {
    type: Type.String({ format: "uri", description: "Names the kind of problem" }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: "The last part of type" }),
    detail: Type.String({ description: "A sentence that names the place, what was found, and the fix" }),
    errors: Type.Array(Type.Object({ field: Type.String(), found: Type.String(), fix: Type.String() })),
  },
  { $id: "Problem", description: "RFC 9457 problem" },
);

export const ProblemRef = Type.Unsafe<unknown>({
  description: "Problem",
  content: { "application/problem+json": { schema: { $ref: "Problem#" } } },
});

export const ApiParams = Type.Object({ api: Type.String({ description: "The API's name" }) });
export const JobParams = Type.Object({
  api: Type.String({ description: "The API's name" }),
  job: Type.String({ description: "The job's id" }),
});

const strict = { additionalProperties: false };

export const NoQuery = Type.Object({}, strict);
export const SubmitQuery = Type.Object(
  { dry_run: Type.Optional(Type.Boolean({ description: "Check all, submit nothing" })) },
  strict,
);
export const ListQuery = Type.Object(
  {
    state: Type.Optional(Type.Enum([...JOB_STATES])),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.jobsPageMax, default: 20 })),
    cursor: Type.Optional(Type.String({ maxLength: 256, description: "`next` of an earlier page" })),
  },
  strict,
);
export const RowsQuery = Type.Object(
  {
    follow: Type.Optional(Type.Boolean({ description: "Go on until the job has ended" })),
    family: Type.Optional(
      Type.Boolean({
        description: "Of the job, what it retries and its retries as one; index as in the first of them",
      }),
    ),
  },
  strict,
);
export const LogsQuery = Type.Object(
  {
    follow: Type.Optional(Type.Boolean({ description: "Go on until the job has ended" })),
    worker: Type.Optional(Type.String({ maxLength: 256, description: "Only lines of this worker" })),
    cursor: Type.Optional(Type.String({ maxLength: 65_536, description: "Header millrace-cursor of an earlier page" })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.listPageMax, default: LIMITS.listPageMax })),
  },
  strict,
);

const batchSize = Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.batchSizeMax }));
const listerFields = {
  paths: Type.Optional(Type.Array(Type.String(), { minItems: 1, maxItems: LIMITS.pathsMax })),
  s3_paths: Type.Optional(Type.Array(Type.String(), { description: "The same as paths" })),
  includes: Type.Optional(Type.Array(Type.String(), { maxItems: LIMITS.globsMax })),
  excludes: Type.Optional(Type.Array(Type.String(), { maxItems: LIMITS.globsMax })),
  batch_size: batchSize,
};

const deadLetterQueue = (description: string) => {
  const maxReceiveCount = Type.Integer({
    minimum: 1,
    maximum: LIMITS.attemptsMax,
    description: "The same as attempts",
  });
  const queue = Type.Object({ arn: Type.String(), max_receive_count: Type.Optional(maxReceiveCount) }, strict);
  return Type.Optional(Type.Union([queue, Type.Null()], { description }));
};

const SubmissionSchema = Type.Object(
  {
    workers: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.workersMax })),
    config: Type.Optional(nullable(Type.Record(Type.String(), Type.Unknown()))),
    timeout: Type.Optional(nullable(Type.Integer({ minimum: 1, maximum: LIMITS.timeoutSecondsMax }))),
    item_list: Type.Optional(
      Type.Object({ items: Type.Array(Type.Unknown(), { minItems: 1 }), batch_size: batchSize }, strict),
    ),
    file_path_lister: Type.Optional(Type.Object(listerFields, strict)),
    delimited_files: Type.Optional(Type.Object(listerFields, strict)),
    attempts: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.attemptsMax })),
    isolate: Type.Optional(Type.Boolean()),
    batch_timeout: Type.Optional(
      nullable(Type.Number({ exclusiveMinimum: 0, maximum: LIMITS.batchTimeoutSecondsMax })),
    ),
    priority: Type.Optional(Type.Integer({ minimum: LIMITS.priorityMin, maximum: LIMITS.priorityMax })),
    labels: Type.Optional(Type.Record(Type.String(), Type.String({ maxLength: LIMITS.labelCharactersMax }))),
    dead_letter_queue: deadLetterQueue("Whole batches that failed go there at the job's end, and none is taken apart"),
    sqs_dead_letter_queue: deadLetterQueue("The same as dead_letter_queue"),
  },
  { ...strict, $id: "Submission", description: "Exactly one of item_list, file_path_lister, delimited_files" },
);

const RetrySchema = Type.Object(
  {
    items: Type.Optional(Type.Enum([...RETRIED_ITEMS], { default: "failed" })),
    version: Type.Optional(Type.Enum([...RETRY_VERSIONS], { default: "newest" })),
    workers: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.workersMax })),
    config: Type.Optional(nullable(Type.Record(Type.String(), Type.Unknown()))),
    timeout: Type.Optional(nullable(Type.Integer({ minimum: 1, maximum: LIMITS.timeoutSecondsMax }))),
    batch_size: batchSize,
    attempts: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.attemptsMax })),
    isolate: Type.Optional(Type.Boolean()),
    batch_timeout: Type.Optional(
      nullable(Type.Number({ exclusiveMinimum: 0, maximum: LIMITS.batchTimeoutSecondsMax })),
    ),
    priority: Type.Optional(Type.Integer({ minimum: LIMITS.priorityMin, maximum: LIMITS.priorityMax })),
    labels: Type.Optional(Type.Record(Type.String(), Type.String())),
  },
  { ...strict, $id: "Retry", description: "What is left out is as the job had it; version: newest" },
);

export const JobSchema = Type.Object(
  {
    job_id: Type.String(),
    api: Type.String(),
    version: Type.String(),
    retry_of: nullable(Type.String({ description: "The job whose items it runs again" })),
    state: Type.Enum([...JOB_STATES]),
    splitting: Type.Boolean({ description: "The input is still being cut; totals are those so far" }),
    reason: nullable(Type.String({ description: "Why it failed" })),
    message: Type.String({ description: "In words: why it waits and what to do, or how it ended" }),
    submitted_at: Type.String({ format: "date-time" }),
    started_at: nullable(Type.String({ format: "date-time" })),
    ended_at: nullable(Type.String({ format: "date-time" })),
    workers: Type.Object({
      asked: count("As submitted"),
      pending: count("Not started yet"),
      starting: count("Loading the handler"),
      ready: count("Working"),
      lost: count("Died"),
      sick: count("Stood down, because they failed what others did well; warnings say why"),
    }),
    batches: Type.Object({
      total: count("Known so far"),
      complete: Type.Boolean({ description: "total is the final one" }),
      succeeded: count("Every item succeeded"),
      failed: count("Some item failed"),
      running: count("With a worker"),
      waiting: count("Not begun"),
    }),
    items: Type.Object({
      total: count("Known so far"),
      succeeded: count("Of settled batches"),
      failed: count("Of settled batches"),
      running: count("In batches that are with a worker"),
      waiting: count("In batches that have not begun"),
    }),
    attempts_failed: count("Whatever became of their batch"),
    rate_items_per_second: Type.Number({ minimum: 0, description: "Over the last seconds" }),
    estimated_seconds_left: nullable(Type.Number({ minimum: 0 })),
    config: Type.Record(Type.String(), Type.Unknown()),
    timeout: nullable(Type.Number()),
    priority: Type.Integer(),
    labels: Type.Record(Type.String(), Type.String()),
    attempts: Type.Integer(),
    isolate: Type.Boolean(),
    dead_letter_queue: nullable(Type.Object({ arn: Type.String(), max_receive_count: Type.Integer() })),
    batch_timeout: nullable(Type.Number()),
    input: Type.Object({
      kind: Type.String(),
      batch_size: Type.Integer(),
      items: Type.Optional(Type.Integer()),
      bytes: Type.Optional(Type.Integer()),
      paths: Type.Optional(Type.Integer({ description: "How many" })),
      first_paths: Type.Optional(Type.Array(Type.String())),
      includes: Type.Optional(Type.Array(Type.String())),
      excludes: Type.Optional(Type.Array(Type.String())),
      root: Type.Optional(Type.String({ description: "Of a retry: the job that its family began with" })),
      retried: Type.Optional(Type.Enum([...RETRIED_ITEMS])),
    }),
    warnings: Type.Array(Type.String()),
    links: Type.Record(Type.String(), Type.String()),
  },
  { $id: "Job" },
);

const JobListSchema = Type.Object(
  { jobs: Type.Array(Type.Unsafe<unknown>({ $ref: "Job#" })), next: nullable(Type.String()) },
  { $id: "JobList" },
);

const DryRunSchema = Type.Object(
  { objects: count("All that would be read"), uris: Type.Array(Type.String(), { description: "The first 10,000" }) },
  { $id: "DryRun" },
);

export const ApiSchema = Type.Object(
  {
    name: Type.String(),
    version: Type.String(),
    created_at: nullable(Type.String({ format: "date-time" })),
    handler: Type.Record(Type.String(), Type.Unknown()),
    compute: Type.Record(Type.String(), Type.Unknown()),
    config: Type.Record(Type.String(), Type.Unknown()),
    env_names: Type.Array(Type.String(), { description: "Names only; values are never shown" }),
    workers: Type.Integer(),
    batch_size: Type.Integer(),
    attempts: Type.Integer(),
    isolate: Type.Boolean(),
    batch_timeout: nullable(Type.Number()),
    versions: Type.Array(
      Type.Object({ version: Type.String(), created_at: nullable(Type.String({ format: "date-time" })) }),
    ),
    links: Type.Record(Type.String(), Type.String()),
  },
  { $id: "Api" },
);

const DamagedApis = Type.Array(
  Type.Object({ name: Type.String(), message: Type.String({ description: "What is damaged, and what to do" }) }),
  { description: "Those whose records cannot be read; their jobs can be asked for" },
);
const ApiListSchema = Type.Object(
  { apis: Type.Array(Type.Unsafe<unknown>({ $ref: "Api#" })), damaged: DamagedApis },
  { $id: "ApiList" },
);

const DeployedSchema = Type.Object(
  { change: Type.Enum(["created", "updated", "unchanged"]), api: Type.Unsafe<unknown>({ $ref: "Api#" }) },
  { $id: "Deployed" },
);

/** What stands behind `$ref`s; registered once. */
export const SHARED_SCHEMAS = [
  ProblemSchema,
  SubmissionSchema,
  RetrySchema,
  JobSchema,
  JobListSchema,
  DryRunSchema,
  ApiSchema,
  ApiListSchema,
  DeployedSchema,
];

/** A response of JSON, by the name of a shared schema. */
export function ref(name: string, description: string) {
  return Type.Unsafe<unknown>({ description, content: { "application/json": { schema: { $ref: `${name}#` } } } });
}

/** A response of another media type. */
export function media(type: string, description: string) {
  return Type.Unsafe<unknown>({ description, content: { [type]: { schema: { type: "string" } } } });
}

export function anyJson(description: string) {
  return Type.Unsafe<unknown>({ description, content: { "application/json": { schema: {} } } });
}
