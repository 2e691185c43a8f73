import type { Random } from "../clock.ts";
import { failureOf, PASSING, UNSURE, type S3Failure } from "./s3-failure.ts";
import type { ObjectFacts, S3Requests } from "./s3-requests.ts";
import type { S3Retry } from "./s3-retry.ts";

interface ConditionalWrite {
  readonly bucket: string;
  readonly key: string;
  /** Must not change until the write has ended: a retry sends the same bytes. */
  readonly bytes: Buffer;
  readonly kind: StoredKind;
  /** The ETag that the object must have; undefined: there must be none. */
  readonly replaces: string | undefined;
}

/** What a key holds; kept in the object's metadata, so that a record is not read as an object, nor an object as a record. */
export type StoredKind = "object" | "record" | "log";

export type WriteEnd =
  | { readonly kind: "written"; readonly etag: string; readonly writeId: string }
  /** What was to be replaced is not there. */
  | { readonly kind: "absent" }
  /** Somebody else wrote. */
  | { readonly kind: "foreign" };

const WRITE_ID = "millrace-write";
const KIND = "millrace-kind";
const WRITE_ID_BYTES = 12;

/** The random id of the write that an object comes from; empty when another program wrote it. */
export function writeIdOf({ metadata }: ObjectFacts): string {
  return metadata[WRITE_ID] ?? "";
}

/** Undefined when another program wrote it: then it may be read as anything. */
export function kindOf({ metadata }: ObjectFacts): string | undefined {
  return metadata[KIND];
}

/**
 * Writes an object on a condition, once, whatever happens on the way. 412, 409 and no answer are different answers, and
 * none of them says whether this write was done: an answer may have been lost, or the request may still be on its way.
 * So the writer looks. Its own id there: done. Nothing there, or still what it replaces: the same bytes under the same id
 * are sent again, and whichever of the two lands second is refused by its condition. Another id: somebody else wrote.
 * Throws `S3Failure`; then the write may have been done, or be done yet, as long as its condition holds.
 */
export async function writeOnce(
  deps: { readonly requests: S3Requests; readonly retry: S3Retry; readonly random: Random },
  write: ConditionalWrite,
): Promise<WriteEnd> {
  const { requests, retry, random } = deps;
  const writeId = random.hex(WRITE_ID_BYTES);
  const metadata = { [WRITE_ID]: writeId, [KIND]: write.kind };
  const attempts = retry.begin();
  let doubt: S3Failure | undefined;
  for (;;) {
    let pauseFor: S3Failure | undefined;
    try {
      if (doubt === undefined) {
        const etag = await requests.put({ ...write, metadata });
        return attempts.succeeded({ kind: "written", etag, writeId });
      }
      const end = judge(await requests.head(write.bucket, write.key), write, writeId);
      if (end !== undefined) return attempts.succeeded(end);
      if (doubt.kind === "refused") pauseFor = doubt;
      doubt = undefined;
    } catch (error) {
      const failure = failureOf(error);
      if (failure.kind === "absent") return { kind: "absent" };
      if (!UNSURE.has(failure.kind) && !PASSING.has(failure.kind)) throw failure;
      if (UNSURE.has(failure.kind)) doubt ??= failure;
      if (failure.kind !== "refused") pauseFor = failure;
    }
    if (pauseFor !== undefined) await attempts.pause(pauseFor);
  }
}

/** Undefined: to be sent again. */
function judge(found: ObjectFacts | undefined, write: ConditionalWrite, writeId: string): WriteEnd | undefined {
  if (found === undefined) return write.replaces === undefined ? undefined : { kind: "absent" };
  if (writeIdOf(found) === writeId) return { kind: "written", etag: found.etag, writeId };
  return found.etag === write.replaces ? undefined : { kind: "foreign" };
}
