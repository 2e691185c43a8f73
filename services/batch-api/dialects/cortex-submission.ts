/** Reads a submission as leniently as Go's encoding/json did (contract B.2), and judges it in the order of B.3. */
import { isUtf8 } from "node:buffer";
import { isObject, shownName } from "../../protocol/field-reader.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { QUEUE_ARN_LIKE, queueAddress } from "../../protocol/queue-arn.ts";
import { JsonFault, scanSubmission, sliceElements } from "../../protocol/raw-items.ts";
import type { Submission, SubmissionInput } from "../../protocol/submission.ts";
import { cortexDecodeError, cortexRuleError } from "./cortex-errors.ts";

interface LenientSubmission {
  readonly submission: Submission;
  /** Sentences about what was ignored. */
  readonly warnings: readonly string[];
}

const LISTER = { s3_paths: "[]string", includes: "[]string", excludes: "[]string", batch_size: "int" } as const;

/** Go's types of the fields it knew; the others are ignored. */
const FIELDS = {
  workers: "int",
  config: "map",
  timeout: "int",
  sqs_dead_letter_queue: { arn: "string", max_receive_count: "int" },
  item_list: { items: "[]RawMessage", batch_size: "int" },
  file_path_lister: LISTER,
  delimited_files: LISTER,
} as const;

interface Shape {
  readonly [name: string]: string | Shape;
}

type Fields = Readonly<Record<string, unknown>>;

const INPUTS = ["item_list", "file_path_lister", "delimited_files"] as const;
const AT_LEAST = "configreader.must_be_greater_than_or_equal_to";
const AT_MOST = "configreader.must_be_less_than_or_equal_to";
const WARNINGS_MAX = 50;

/** Throws `Problem`, whose `cortexKind` is that of B.3. */
export function parseCortexSubmission(body: Buffer): LenientSubmission {
  const { value, items } = decode(body);
  const warnings: string[] = [];
  const fields = value === null ? {} : readFields(value, FIELDS, "", warnings);
  const given = INPUTS.filter((kind) => fields[kind] !== undefined);
  const [kind] = given;
  if (kind === undefined) {
    const message = `specify exactly one of the following keys: ${INPUTS.join(", ")}`;
    throw cortexRuleError("job.specify_exactly_one_key", [], message);
  }
  if (given.length > 1) {
    const message = `please specify only one of these fields: ${given.join(", ")}`;
    throw cortexRuleError("job.conflicting_fields", [], message);
  }
  const list = fields[kind] as Fields;
  if (kind === "item_list" && items.length === 0) throw tooFew(["items"]);
  const batchSize = between(list["batch_size"], [kind, "batch_size"], LIMITS.batchSizeMax);
  const workers = between(fields["workers"], ["workers"], LIMITS.workersMax);
  const timeoutSeconds =
    fields["timeout"] === undefined ? null : between(fields["timeout"], ["timeout"], LIMITS.timeoutSecondsMax);
  const deadLetterQueue = readDeadLetterQueue(fields["sqs_dead_letter_queue"] as Fields | undefined, warnings);
  const input = readInput(kind, list, items, batchSize);
  const config = (fields["config"] ?? {}) as Fields;
  return {
    submission: { workers, config, timeoutSeconds, input, priority: 0, labels: {}, deadLetterQueue },
    warnings,
  };
}

function decode(body: Buffer): { readonly value: unknown; readonly items: readonly Buffer[] } {
  if (body.length === 0) throw cortexDecodeError("EOF: the body is empty; send a JSON object");
  if (!isUtf8(body)) throw cortexDecodeError("the body is not UTF-8; encode it so");
  try {
    const { rest, elements } = scanSubmission(body, (key, name) => key.toLowerCase() === name);
    const count = (elements?.length ?? 0) / 2;
    if (count > LIMITS.inlineItemsMax) {
      const message = `must contain at most ${String(LIMITS.inlineItemsMax)} elements; put more into files`;
      throw cortexRuleError("configreader.too_many_elements", ["items"], message);
    }
    return { value: JSON.parse(rest), items: sliceElements(body, elements ?? []) };
  } catch (error) {
    if (error instanceof JsonFault) throw cortexDecodeError(`invalid JSON ${error.message}`);
    throw error;
  }
}

/** Known fields by their lower-case names, of the right types; null counts as absent. */
function readFields(value: unknown, shape: Shape, path: string, warnings: string[]): Fields {
  if (!isObject(value)) throw mismatch(value, path, "object");
  const fields: Record<string, unknown> = {};
  for (const [key, part] of Object.entries(value)) {
    const name = key.toLowerCase();
    const type = Object.hasOwn(shape, name) ? shape[name] : undefined;
    const partPath = path === "" ? name : `${path}.${name}`;
    if (type === undefined) warnIgnored(path, key, warnings);
    else if (part === null) fields[name] = undefined;
    else if (typeof type === "object") fields[name] = readFields(part, type, partPath, warnings);
    else fields[name] = readType(part, type, partPath, warnings);
  }
  return fields;
}

function warnIgnored(path: string, key: string, warnings: string[]): void {
  const name = path === "" ? shownName(key) : `${path}.${shownName(key)}`;
  if (warnings.length < WARNINGS_MAX) warnings.push(`The field ${name} is not known and was ignored.`);
}

function readType(value: unknown, type: string, path: string, warnings: string[]): unknown {
  switch (type) {
    case "int":
      if (typeof value !== "number" || !Number.isSafeInteger(value)) throw mismatch(value, path, "int");
      return value;
    case "string":
      if (typeof value !== "string") throw mismatch(value, path, "string");
      return value;
    case "map":
      if (!isObject(value)) throw mismatch(value, path, "map[string]interface {}");
      return plainConfig(value, path, warnings);
    case "[]string":
      if (!Array.isArray(value)) throw mismatch(value, path, "[]string");
      return value.map((entry: unknown) => {
        if (entry === null) return ""; // Go leaves the zero value
        if (typeof entry !== "string") throw mismatch(entry, path, "string");
        return entry;
      });
    default:
      if (!Array.isArray(value)) throw mismatch(value, path, "[]json.RawMessage");
      return value;
  }
}

function mismatch(value: unknown, path: string, type: string): Error {
  const kind = Array.isArray(value) ? "array" : value === null ? "null" : typeof value;
  const named = kind === "boolean" ? "bool" : kind;
  const field = path === "" ? "value" : `struct field BatchJobSubmission.${path}`;
  return cortexDecodeError(`json: cannot unmarshal ${named} into Go ${field} of type ${type}`);
}

/** Says which numbers came out changed, as they did there; `__proto__` would be no field but a trap. */
function plainConfig(value: Fields, path: string, warnings: string[]): Fields {
  const visit = (part: unknown, at: string): unknown => {
    if (typeof part === "number") {
      if (!Number.isFinite(part)) throw mismatch(part, at, "float64");
      if (Number.isInteger(part) && !Number.isSafeInteger(part) && warnings.length < WARNINGS_MAX) {
        warnings.push(`The number ${at} is beyond 2^53 and lost its last digits; write it in quotes.`);
      }
      return part;
    }
    if (Array.isArray(part)) return part.map((one, index) => visit(one, `${at}[${String(index)}]`));
    if (!isObject(part)) return part;
    const kept = Object.entries(part).filter(([name]) => name !== "__proto__");
    if (kept.length < Object.keys(part).length) warnIgnored(at, "__proto__", warnings);
    return Object.fromEntries(kept.map(([name, one]) => [name, visit(one, `${at}.${shownName(name)}`)]));
  };
  return visit(value, path) as Fields;
}

function tooFew(path: readonly string[]): Error {
  return cortexRuleError("configreader.too_few_elements", path, "must contain at least 1 elements");
}

function between(value: unknown, path: readonly string[], most: number): number {
  const number = typeof value === "number" ? value : 0;
  if (number < 1) throw cortexRuleError(AT_LEAST, path, `${String(number)} must be greater than or equal to 1`);
  if (number > most)
    throw cortexRuleError(AT_MOST, path, `${String(number)} must be less than or equal to ${String(most)}`);
  return number;
}

function readDeadLetterQueue(fields: Fields | undefined, warnings: string[]): Submission["deadLetterQueue"] {
  if (fields === undefined) return null;
  const arn = fields["arn"] as string | undefined;
  if (arn === undefined || arn === "") {
    throw cortexRuleError("configreader.cannot_be_empty", ["sqs_dead_letter_queue", "arn"], "cannot be empty");
  }
  const path = ["sqs_dead_letter_queue", "max_receive_count"];
  const asked = between(fields["max_receive_count"], path, Number.MAX_SAFE_INTEGER);
  // Cortex found out when its job began.
  if (queueAddress(arn) === undefined) {
    const message = `this is no ARN of an SQS queue; give one like ${QUEUE_ARN_LIKE}`;
    throw cortexRuleError("error", ["sqs_dead_letter_queue", "arn"], message);
  }
  if (asked > LIMITS.attemptsMax) {
    warnings.push(
      `sqs_dead_letter_queue.max_receive_count was lowered to ${String(LIMITS.attemptsMax)}, the most there is.`,
    );
  }
  return { arn, maxReceiveCount: Math.min(asked, LIMITS.attemptsMax) };
}

function readInput(
  kind: (typeof INPUTS)[number],
  list: Fields,
  items: readonly Buffer[],
  batchSize: number,
): SubmissionInput {
  if (kind === "item_list") return { kind, items, batchSize };
  const paths = (list["s3_paths"] ?? []) as readonly string[];
  if (paths.length === 0) throw tooFew([kind, "s3_paths"]);
  const includes = (list["includes"] ?? []) as readonly string[];
  const excludes = (list["excludes"] ?? []) as readonly string[];
  tooMany(paths, [kind, "s3_paths"], LIMITS.pathsMax);
  tooMany(includes, [kind, "includes"], LIMITS.globsMax);
  tooMany(excludes, [kind, "excludes"], LIMITS.globsMax);
  return { kind, paths, includes, excludes, batchSize };
}

function tooMany(texts: readonly string[], path: readonly string[], most: number): void {
  if (texts.length <= most) return;
  throw cortexRuleError("configreader.too_many_elements", path, `must contain at most ${String(most)} elements`);
}
