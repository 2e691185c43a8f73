import { DatasetError, type Dataset } from "../../backends/dataset.ts";
import { DeadLetterQueueUnwell, type DeadLetter } from "../../backends/dead-letters.ts";
import type { ObjectStore } from "../../backends/object-store.ts";
import { batchId } from "../../protocol/ids.ts";
import { apiOf, type DeadLettersRecord, type JobSpec } from "../../protocol/jobs.ts";
import { JsonShapeError } from "../../protocol/json-scanner.ts";
import { jobKeys } from "../../protocol/keys.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { carried } from "../../protocol/messages.ts";
import { joinPayload } from "../../protocol/payload.ts";
import { splitOf, type BatchPointer, type Span } from "../../protocol/pointers.ts";
import { encodeStored, readRecord } from "../jobs/stored.ts";
import type { DeadLetterDeps } from "./context.ts";
import type { PointedBatch } from "./split-reader.ts";
import { backoffMs } from "./retries.ts";

/** A job whose end is decided, as far as its dead letters go. */
export interface EndedJob {
  readonly spec: JobSpec;
  readonly store: ObjectStore;
  /** Batches that failed as a whole, from this one on, in order. */
  readonly failedFrom: (batch: number) => Iterable<number>;
  readonly pointer: (batch: number) => Promise<PointedBatch>;
  /** A step has ended: throws when this driver has to stop. */
  readonly onStep: () => void;
  readonly sleep: (milliseconds: number) => Promise<void>;
  /** Awaits a call that may take long, and shows meanwhile that this driver lives. */
  readonly during: <T>(call: Promise<T>) => Promise<T>;
}

/** Payloads in memory at a time; as many entries as a request has. */
const LETTERS_AT_ONCE = 10;
/** Tries of one group of letters, with pauses between, while the queue may heal. */
const TRIES_MAX = 3;

/** Letters between two writes of the progress. */
const WRITE_EVERY_LETTERS = 100;

const NO_CREDENTIALS = "this service has no AWS credentials to send with";
const NOTHING_SENT: DeadLettersRecord = { through: 0, sent: 0, unsent: 0, cause: "", ended: false, writes: 0 };

/**
 * Sends each failed batch of the job to the queue that its submission named, at least once; whoever takes over goes on from what
 * is recorded. A queue that cannot be used never holds up the job: after a few tries the rest stays unsent. Answers the
 * sentence of the job's warning; undefined: all was sent, or nothing was asked for.
 */
export async function sendDeadLetters(job: EndedJob, deps: DeadLetterDeps | undefined): Promise<string | undefined> {
  const { spec, store } = job;
  if (spec.dead_letter_queue === null) return undefined;
  const { arn } = spec.dead_letter_queue;
  const progress = await Progress.read(store, spec);
  let givenUp = deps === undefined ? NO_CREDENTIALS : "";
  for (const group of progress.record.ended ? [] : groupsOf(job.failedFrom(progress.record.through))) {
    const { unsent, cause, isFinal } =
      givenUp !== "" || deps === undefined
        ? { unsent: group.length, cause: givenUp, isFinal: true }
        : await sendGroup(job, deps, arn, group);
    if (isFinal) givenUp = cause;
    job.onStep();
    await progress.note(group, unsent, cause);
  }
  const { unsent, cause } = await progress.end();
  if (unsent === 0) return undefined;
  return (
    `dead_letter_queue: ${String(unsent)} failed batches were not sent to ${arn}: ${cause}; ` +
    `mend that, and run them again by millrace retry ${spec.job}`
  );
}

interface SentGroup {
  readonly unsent: number;
  /** Why; empty: all went. */
  readonly cause: string;
  /** The others would fare no better. */
  readonly isFinal: boolean;
}

async function sendGroup(
  job: EndedJob,
  { queues, dataset }: DeadLetterDeps,
  arn: string,
  batches: readonly number[],
): Promise<SentGroup> {
  const letters = await Promise.all(batches.map((batch) => letterOf(job, dataset, batch)));
  for (let tries = 1; ; tries += 1) {
    try {
      const returned = await job.during(queues.send(arn, letters));
      // A queue may take less than SQS does: then the pointer alone, which is short.
      const short = await Promise.all(returned.map(({ index }) => pointerLetter(job, batches[index] ?? 0)));
      const still = short.length === 0 ? [] : await job.during(queues.send(arn, short));
      const cause = still[0] === undefined ? "" : `it refuses them (${still[0].code})`;
      return { unsent: still.length, cause, isFinal: false };
    } catch (error) {
      if (!(error instanceof DeadLetterQueueUnwell)) throw error;
      job.onStep();
      if (!error.mayHeal || tries >= TRIES_MAX) return { unsent: batches.length, cause: error.message, isFinal: true };
      await job.sleep(backoffMs(tries + 4));
    }
  }
}

/** The whole batch as the handler got it, where it is text that a message may hold, and is short enough. */
async function letterOf(job: EndedJob, dataset: Dataset, batch: number): Promise<DeadLetter> {
  const { pointer } = await job.pointer(batch);
  const bytes = pointer.spans.reduce((sum, { start, end }) => sum + end - start, 0);
  const body = bytes > LIMITS.deadLetterBytesMax ? undefined : await payloadText(job.store, dataset, pointer);
  if (body === undefined || Buffer.byteLength(body) > LIMITS.deadLetterBytesMax) return pointerLetter(job, batch);
  return { ...envelope(job.spec, batch, "items"), body };
}

async function pointerLetter({ spec, pointer: read }: EndedJob, batch: number): Promise<DeadLetter> {
  const { pointer, firstItem } = await read(batch);
  const { items, spans } = carried(pointer);
  const place = { job_id: spec.job, batch, first_item: firstItem, items };
  // What is too long for a message stands in the split file.
  const where = spans.length > 0 ? { spans } : { split: jobKeys(spec.api, spec.job).split(splitOf(batch).split) };
  return { ...envelope(spec, batch, "pointer"), body: sqsText(JSON.stringify({ ...place, ...where })) };
}

function envelope(spec: JobSpec, batch: number, holds: "items" | "pointer"): Omit<DeadLetter, "body"> {
  const id = batchId(spec.job, batch);
  return { id, attributes: { api_name: apiOf(spec), job_id: spec.job, batch_id: id, body: holds } };
}

/** Undefined: it cannot be read any more, or is no text that SQS takes. */
async function payloadText(store: ObjectStore, dataset: Dataset, { spans }: BatchPointer): Promise<string | undefined> {
  try {
    const buffers = await Promise.all(spans.map((span) => readSpan(store, dataset, span)));
    const text = STRICT_UTF8.decode(joinPayload(spans, buffers));
    JSON.parse(text); // an item that is no JSON makes the whole none
    return sqsText(text);
  } catch (error) {
    if (error instanceof DatasetError || error instanceof JsonShapeError || error instanceof SyntaxError)
      return undefined;
    if (error instanceof TypeError) return undefined; // bytes that are not UTF-8
    throw error;
  }
}

const STRICT_UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const STORE_SCHEME = "store:";

async function readSpan(store: ObjectStore, dataset: Dataset, { uri, etag, start, end }: Span): Promise<Buffer> {
  if (!uri.startsWith(STORE_SCHEME)) return dataset.read(uri, { start, end }, etag);
  return (await store.get(uri.slice(STORE_SCHEME.length), { start, end }))?.bytes ?? Buffer.alloc(0);
}

/** Characters that SQS refuses stand in strings of the JSON alone, where an escape means the same. */
function sqsText(json: string): string {
  return json.replace(/[\uFFFE\uFFFF]/g, (character) => `\\u${character.charCodeAt(0).toString(16)}`);
}

function* groupsOf(batches: Iterable<number>): Generator<readonly number[], void> {
  let group: number[] = [];
  for (const batch of batches) {
    group.push(batch);
    if (group.length < LETTERS_AT_ONCE) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

/** `dead-letters.json`, written now and then: what was sent behind it is sent again by whoever takes over. */
class Progress {
  record: DeadLettersRecord;
  readonly #store: ObjectStore;
  readonly #key: string;
  #version: string | undefined;
  #unwritten = 0;

  private constructor(
    store: ObjectStore,
    key: string,
    found: { value: DeadLettersRecord; version: string } | undefined,
  ) {
    this.#store = store;
    this.#key = key;
    this.record = found?.value ?? NOTHING_SENT;
    this.#version = found?.version;
  }

  static async read(store: ObjectStore, { api, job }: JobSpec): Promise<Progress> {
    const key = jobKeys(api, job).deadLetters;
    return new Progress(store, key, await readRecord<DeadLettersRecord>(store, key));
  }

  /** A group has had its turn. */
  async note(group: readonly number[], unsent: number, cause: string): Promise<void> {
    const { record } = this;
    this.record = {
      ...record,
      through: (group.at(-1) ?? 0) + 1,
      sent: record.sent + group.length - unsent,
      unsent: record.unsent + unsent,
      cause: record.cause === "" ? cause : record.cause,
    };
    this.#unwritten += group.length;
    if (this.#unwritten >= WRITE_EVERY_LETTERS) await this.#write();
  }

  async end(): Promise<DeadLettersRecord> {
    if (this.record.ended) return this.record;
    this.record = { ...this.record, ended: true };
    await this.#write();
    return this.record;
  }

  /** No other driver of the job is to lose by it: what two of them send is sent twice, and the later word stands. */
  async #write(): Promise<void> {
    let version: string | undefined;
    while (version === undefined) {
      this.record = { ...this.record, writes: this.record.writes + 1 };
      version = await this.#store.swap(this.#key, encodeStored(this.record), this.#version);
      if (version !== undefined) break;
      const found = await readRecord<DeadLettersRecord>(this.#store, this.#key);
      this.#version = found?.version;
      this.record = { ...this.record, writes: found?.value.writes ?? 0 };
    }
    this.#version = version;
    this.#unwritten = 0;
  }
}
