import { createHash } from "node:crypto";

/** Newest sorts first: 11 hex digits count milliseconds backwards (good for 557 years from 1970), 5 are random. */
const MILLISECONDS_END = 2 ** 44 - 1;

/** A job id: 16 lower-case hex digits. `random` gives at least 5 hex digits. */
export function jobId(unixMilliseconds: number, random: string): string {
  const reversed = MILLISECONDS_END - Math.trunc(unixMilliseconds);
  return reversed.toString(16).padStart(11, "0") + random.slice(0, 5).padEnd(5, "0");
}

export function isJobId(text: string): boolean {
  return /^[0-9a-f]{16}$/.test(text);
}

/** UUIDv5 (RFC 9562, section 5.5) namespace of batch ids, drawn once. */
const BATCH_NAMESPACE = Buffer.from("6f0a1b5e29d34c6b9a5e6d2f8c417703", "hex");

/** A batch's id: the same at every attempt. */
export function batchId(job: string, batch: number, derived = ""): string {
  const hash = createHash("sha1")
    .update(BATCH_NAMESPACE)
    .update(`${job}/${String(batch)}${derived}`)
    .digest();
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const hex = hash.toString("hex", 0, 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
