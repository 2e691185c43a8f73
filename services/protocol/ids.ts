import { hash } from "node:crypto";

/** Newest sorts first: 11 hex digits count milliseconds backwards (good for 557 years from 1970), 5 are random. */
const MILLISECONDS_END = 2 ** 44 - 1;

/** A job id: 16 lower-case hex digits. `random` gives at least 5 hex digits. */
export function jobId(unixMilliseconds: number, random: string): string {
  const reversed = MILLISECONDS_END - Math.trunc(unixMilliseconds);
  return reversed.toString(16).padStart(11, "0") + random.slice(0, 5).padEnd(5, "0");
}

/** Unix milliseconds at which a job was named; undefined for what is no job id. */
export function jobStartedAt(job: string): number | undefined {
  return isJobId(job) ? MILLISECONDS_END - Number.parseInt(job.slice(0, 11), 16) : undefined;
}

export function isJobId(text: string): boolean {
  return /^[0-9a-f]{16}$/.test(text);
}

/** UUIDv5 (RFC 9562, section 5.5) namespace of batch ids, drawn once. */
const BATCH_NAMESPACE = Buffer.from("6f0a1b5e29d34c6b9a5e6d2f8c417703", "hex");

const NAMESPACE_PLACE = "\0".repeat(16);

/** A batch's id: the same at every attempt. */
export function batchId(job: string, batch: number, derived = ""): string {
  const name = Buffer.from(`${NAMESPACE_PLACE}${job}/${String(batch)}${derived}`);
  BATCH_NAMESPACE.copy(name);
  const digest = hash("sha1", name, "hex"); // in one call: each batch has its id made
  const variant = ((parseInt(digest.charAt(16), 16) & 0x3) | 0x8).toString(16);
  const hex = `${digest.slice(0, 12)}5${digest.slice(13, 16)}${variant}${digest.slice(17, 32)}`;
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
