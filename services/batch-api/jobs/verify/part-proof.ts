import { createHash } from "node:crypto";
import type { ManifestPart } from "../../../protocol/jobs.ts";

/** What a part's bytes prove of themselves. */
export function partProof(bytes: Buffer): Omit<ManifestPart, "key"> {
  let rows = 0;
  for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) rows += 1;
  return { bytes: bytes.length, rows, sha256: createHash("sha256").update(bytes).digest("hex") };
}
