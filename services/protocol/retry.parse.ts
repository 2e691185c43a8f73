/** From the bytes of a request to a `RetryRequest`, strictly. */
import { FieldReader, kindOf, shownName } from "./field-reader.ts";
import { RETRIED_ITEMS } from "./jobs.ts";
import { LIMITS } from "./limits.ts";
import { Problem, type Fault } from "./problems.ts";
import { RETRY_VERSIONS, type RetryRequest } from "./retry.ts";
import { bodyTooLarge, decodeBody, readBatchTimeout, readConfig, readLabels, readPriority, readTimeout, withoutUndefined } from "./submission.parse.ts"; // prettier-ignore

const RETRY_FIELDS = [
  "items",
  "version",
  "workers",
  "config",
  "timeout",
  "batch_size",
  "attempts",
  "isolate",
  "batch_timeout",
  "priority",
  "labels",
] as const;

/** An empty body asks for nothing in particular. Throws `Problem` (invalid_body, body_too_large) with every fault at once. */
export function parseRetry(body: Buffer): RetryRequest {
  if (body.length > LIMITS.requestBytesMax) throw bodyTooLarge();
  const { fields } = body.length === 0 ? { fields: {} } : decodeBody(body);
  const faults: Fault[] = [];
  const read = new FieldReader(fields, "", faults);
  read.onlyKnown(RETRY_FIELDS);
  const whole = (name: string, max: number) => (read.has(name) ? read.integer(name, { min: 1, max }) : undefined);
  const changes = {
    workers: whole("workers", LIMITS.workersMax),
    config: read.has("config") ? readConfig(read) : undefined,
    timeoutSeconds: read.has("timeout") ? readTimeout(read) : undefined,
    batchSize: whole("batch_size", LIMITS.batchSizeMax),
    attempts: whole("attempts", LIMITS.attemptsMax),
    isolate: read.has("isolate") ? read.boolean("isolate") : undefined,
    batchTimeoutSeconds: readBatchTimeout(read),
    priority: read.has("priority") ? readPriority(read) : undefined,
    labels: read.has("labels") ? readLabels(read) : undefined,
  };
  const items = oneOf(read, "items", RETRIED_ITEMS);
  const version = oneOf(read, "version", RETRY_VERSIONS);
  if (faults.length > 0) throw new Problem("invalid_body", "", faults);
  return { items, version, ...withoutUndefined(changes) };
}

/** The first word is what an absent field means. */
function oneOf<Word extends string>(read: FieldReader, name: string, words: readonly [Word, ...Word[]]): Word {
  const [usual] = words;
  if (!read.has(name)) return usual;
  const value = read.raw(name);
  const known = words.find((word) => word === value);
  if (known !== undefined) return known;
  const found = typeof value === "string" && value !== "" ? `"${shownName(value)}"` : kindOf(value);
  read.fault(name, found, `give ${words.map((word) => `"${word}"`).join(" or ")}`);
  return usual;
}
