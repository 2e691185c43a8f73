import { getHeapSnapshot } from "node:v8";

/** A job's id where one stands: as it is, or within a key, a path or a URL. */
const JOB_ID = /(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])/g;

/**
 * How many jobs this process still knows anything of: distinct ids in all strings of its heap. A map that is keyed by job and
 * never shrinks shows here by one for each job, however small its entries are.
 */
export async function jobsInMemory(): Promise<number> {
  const ids = new Set<string>();
  let rest = "";
  for await (const chunk of getHeapSnapshot()) {
    const text = rest + String(chunk);
    for (const [id] of text.matchAll(JOB_ID)) ids.add(id);
    rest = text.slice(-600);
  }
  return ids.size;
}
