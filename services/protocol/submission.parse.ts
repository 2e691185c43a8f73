/** From the bytes of a request to a `Submission`, strictly: the modern door. The lenient reading stands in `dialects/`. */
import { isUtf8 } from "node:buffer";
import { FieldReader, isObject, kindOf, shownName, textFault, UNSAFE_NUMBER } from "./field-reader.ts";
import { LIMITS } from "./limits.ts";
import { Problem } from "./problems.ts";
import type { Fault } from "./problems.ts";
import { QUEUE_ARN_LIKE, queueAddress } from "./queue-arn.ts";
import { JsonFault, scanSubmission, sliceElements } from "./raw-items.ts";
import type { Submission, SubmissionInput } from "./submission.ts";

const INPUT_KINDS = ["item_list", "file_path_lister", "delimited_files"] as const;

const SUBMISSION_FIELDS = [
  "workers",
  "config",
  "timeout",
  ...INPUT_KINDS,
  "attempts",
  "isolate",
  "batch_timeout",
  "priority",
  "labels",
  "dead_letter_queue",
  "sqs_dead_letter_queue",
] as const;

/** Throws `Problem` (invalid_body, body_too_large) with every fault of the body at once. */
export function parseSubmission(body: Buffer): Submission {
  if (body.length > LIMITS.requestBytesMax) throw bodyTooLarge();
  const { fields, items } = decodeBody(body);
  const faults: Fault[] = [];
  const read = new FieldReader(fields, "", faults);
  read.onlyKnown(SUBMISSION_FIELDS);
  const input = readInput(read, items);
  const optional = {
    workers: read.has("workers") ? read.integer("workers", { min: 1, max: LIMITS.workersMax }) : undefined,
    attempts: read.has("attempts") ? read.integer("attempts", { min: 1, max: LIMITS.attemptsMax }) : undefined,
    isolate: read.has("isolate") ? read.boolean("isolate") : undefined,
    batchTimeoutSeconds: readBatchTimeout(read),
  };
  const submission = {
    config: readConfig(read),
    timeoutSeconds: readTimeout(read),
    priority: readPriority(read),
    labels: readLabels(read),
    deadLetterQueue: readDeadLetterQueue(read),
  };
  if (faults.length > 0 || input === undefined) throw new Problem("invalid_body", "", faults);
  return { ...submission, ...withoutUndefined(optional), input };
}

export function bodyTooLarge(): Problem {
  const most = `${String(LIMITS.requestBytesMax / (1024 * 1024))} MiB`;
  const detail = `The body is larger than ${most}; put the items into files and name them under delimited_files.`;
  return new Problem("body_too_large", detail);
}

type WithoutUndefined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

export function withoutUndefined<T extends object>(value: T): WithoutUndefined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined)) as WithoutUndefined<T>;
}

interface Decoded {
  readonly fields: Readonly<Record<string, unknown>>;
  /** Undefined: `item_list.items` is no list. */
  readonly items: readonly Buffer[] | undefined;
}

/** The fields of a body, numbers kept as they are. Throws `Problem`. */
export function decodeBody(body: Buffer): Decoded {
  checkText(body);
  const { rest, elements } = scan(body);
  const fields: unknown = JSON.parse(rest, keepNumbers);
  if (!isObject(fields)) throw malformed(kindOf(fields), "send one JSON object");
  const count = (elements?.length ?? 0) / 2;
  if (count > LIMITS.inlineItemsMax) {
    const fix = `send at most ${String(LIMITS.inlineItemsMax)}, or put them into files under delimited_files`;
    throw new Problem("invalid_body", "", [{ field: "item_list.items", found: `${String(count)} items`, fix }]);
  }
  return { fields, items: elements && sliceElements(body, elements) };
}

function checkText(body: Buffer): void {
  if (body.length === 0) throw malformed("nothing", "send one JSON object");
  if (body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf) {
    throw malformed("a byte order mark at byte 0", "save the body as UTF-8 without it");
  }
  if (isUtf8(body)) return;
  const whole = Buffer.from(body.toString("utf8"));
  let at = 0;
  while (body[at] === whole[at]) at += 1;
  throw malformed(`bytes that are not UTF-8, near byte ${String(at)}`, "encode the body as UTF-8");
}

function scan(body: Buffer): ReturnType<typeof scanSubmission> {
  try {
    return scanSubmission(body);
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    throw malformed(`${error.found} at byte ${String(error.offset)}`, `there must be ${error.expected}`);
  }
}

function malformed(found: string, fix: string): Problem {
  return new Problem("invalid_body", "", [{ field: "body", found, fix }]);
}

/** A reviver: numbers that JavaScript would change become UNSAFE_NUMBER. */
function keepNumbers(this: unknown, _key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== "number") return value;
  if (!Number.isFinite(value)) return UNSAFE_NUMBER;
  const whole = context?.source !== undefined && /^-?\d+$/.test(context.source);
  return whole && !Number.isSafeInteger(value) ? UNSAFE_NUMBER : value;
}

function readInput(read: FieldReader, items: readonly Buffer[] | undefined): SubmissionInput | undefined {
  const given = INPUT_KINDS.filter((kind) => read.has(kind));
  const [kind] = given;
  const names = INPUT_KINDS.join(", ");
  if (kind === undefined) return read.fault("body", "no input", `give exactly one of ${names}`);
  if (given.length > 1) read.fault("body", given.join(" and "), `give exactly one of ${names}`);
  const fields = read.object(kind, "give an object");
  if (fields === undefined) return undefined;
  const within = new FieldReader(fields, kind, read.faults);
  const batchSize = within.has("batch_size")
    ? within.integer("batch_size", { min: 1, max: LIMITS.batchSizeMax })
    : undefined;
  const size = batchSize === undefined ? {} : { batchSize };
  if (kind === "item_list") return readItemList(within, items, size);
  return readLister(within, kind, size);
}

type BatchSize = Pick<SubmissionInput, "batchSize">;

function readItemList(
  read: FieldReader,
  items: readonly Buffer[] | undefined,
  size: BatchSize,
): SubmissionInput | undefined {
  read.onlyKnown(["items", "batch_size"]);
  if (items === undefined) return read.fault("items", kindOf(read.raw("items")), "give a list of at least one item");
  if (items.length === 0) return read.fault("items", "an empty list", "give at least one item");
  return { kind: "item_list", items, ...size };
}

function readLister(
  read: FieldReader,
  kind: "file_path_lister" | "delimited_files",
  size: BatchSize,
): SubmissionInput | undefined {
  read.onlyKnown(["paths", "s3_paths", "includes", "excludes", "batch_size"]);
  if (read.has("paths") && read.has("s3_paths")) {
    read.fault("s3_paths", "paths as well", "give one of them; they mean the same");
  }
  const alias = read.has("s3_paths") && !read.has("paths") ? "s3_paths" : "paths";
  const paths = read.texts(alias, { min: 1, max: LIMITS.pathsMax, charactersMax: LIMITS.pathCharactersMax });
  const globs = { min: 0, max: LIMITS.globsMax, charactersMax: LIMITS.globCharactersMax };
  const includes = read.has("includes") ? read.texts("includes", globs) : [];
  const excludes = read.has("excludes") ? read.texts("excludes", globs) : [];
  if (paths === undefined || includes === undefined || excludes === undefined) return undefined;
  return { kind, paths, includes, excludes, ...size };
}

export function readTimeout(read: FieldReader): number | null {
  if ((read.raw("timeout") ?? null) === null) return null;
  return read.integer("timeout", { min: 1, max: LIMITS.timeoutSecondsMax }) ?? null;
}

export function readBatchTimeout(read: FieldReader): number | null | undefined {
  if (!read.has("batch_timeout")) return undefined;
  if (read.raw("batch_timeout") === null) return null;
  return read.seconds("batch_timeout", LIMITS.batchTimeoutSecondsMax);
}

export function readPriority(read: FieldReader): number {
  if (!read.has("priority")) return 0;
  return read.integer("priority", { min: LIMITS.priorityMin, max: LIMITS.priorityMax }) ?? 0;
}

export function readConfig(read: FieldReader): Readonly<Record<string, unknown>> {
  if ((read.raw("config") ?? null) === null) return {};
  const config = read.object("config", "give an object");
  if (config === undefined) return {};
  checkConfig(read, config, "config");
  return config;
}

function checkConfig(read: FieldReader, value: unknown, path: string): void {
  if (value === UNSAFE_NUMBER) {
    read.fault(path, kindOf(value), "write it in quotes, and turn it into a number in the handler");
  } else if (Array.isArray(value)) {
    for (const [index, part] of value.entries()) checkConfig(read, part, `${path}[${String(index)}]`);
  } else if (isObject(value)) {
    for (const [name, part] of Object.entries(value)) {
      const partPath = `${path}.${shownName(name)}`;
      if (name === "__proto__") read.fault(partPath, "a reserved name", "give the field another name");
      else checkConfig(read, part, partPath);
    }
  }
}

export function readLabels(read: FieldReader): Readonly<Record<string, string>> {
  if (!read.has("labels")) return {};
  const labels = read.object("labels", "give an object of texts");
  if (labels === undefined) return {};
  const names = Object.keys(labels);
  if (names.length > LIMITS.labelsMax) {
    read.fault("labels", `${String(names.length)} labels`, `give at most ${String(LIMITS.labelsMax)}`);
    return {};
  }
  const most = LIMITS.labelCharactersMax;
  for (const name of names) {
    const nameFound = name === "__proto__" ? "a reserved name" : textFault(name, most);
    if (nameFound !== undefined)
      read.fault(`labels.${shownName(name)}`, nameFound, `name it by 1 to ${String(most)} characters`);
    const found = labels[name] === "" ? undefined : textFault(labels[name], most);
    if (found !== undefined)
      read.fault(`labels.${shownName(name)}`, found, `give a text of at most ${String(most)} characters`);
  }
  return labels as Readonly<Record<string, string>>;
}

const DEAD_LETTER_FIELDS = ["dead_letter_queue", "sqs_dead_letter_queue"] as const;

function readDeadLetterQueue(read: FieldReader): Submission["deadLetterQueue"] {
  const [field, other] = DEAD_LETTER_FIELDS.filter((name) => (read.raw(name) ?? null) !== null);
  if (field === undefined) return null;
  if (other !== undefined) read.fault(other, `${field} as well`, "give one of them; they mean the same");
  const fields = read.object(field, "give an object of arn and max_receive_count, or null");
  if (fields === undefined) return null;
  const within = new FieldReader(fields, field, read.faults);
  within.onlyKnown(["arn", "max_receive_count"]);
  const arn = within.text("arn", 256);
  if (arn !== undefined && queueAddress(arn) === undefined) {
    within.fault("arn", "what is no ARN of an SQS queue", `give one like ${QUEUE_ARN_LIKE}`);
  }
  const given = within.has("max_receive_count");
  const maxReceiveCount = given ? within.integer("max_receive_count", { min: 1, max: LIMITS.attemptsMax }) : undefined;
  checkAgainst(read, field, maxReceiveCount);
  if (arn === undefined) return null;
  return { arn, ...(maxReceiveCount === undefined ? {} : { maxReceiveCount }) };
}

/** What else the submission says of failing batches must not contradict the queue. */
function checkAgainst(read: FieldReader, field: string, maxReceiveCount: number | undefined): void {
  if (read.raw("isolate") === true) {
    const fix =
      "its queue gets whole batches, which are not taken apart; leave one of the two out, or give isolate as false";
    read.fault("isolate", `true, and ${field} as well`, fix);
  }
  const attempts = read.raw("attempts");
  if (maxReceiveCount === undefined || typeof attempts !== "number" || attempts === maxReceiveCount) return;
  const found = `${String(attempts)}, and ${String(maxReceiveCount)} in ${field}.max_receive_count`;
  read.fault("attempts", found, "both say how often a batch is tried; give one of them, or the same number");
}
