/** Objects of a job that cannot be read, each with what to do about it. Without them no other check can be made. */
import type { ObjectStore } from "../../../backends/object-store.ts";
import { jobKeys } from "../../../protocol/keys.ts";
import { DamagedObject, parseStored, UnreadableObject } from "../../../protocol/stored.ts";
import { storedKind } from "../../../protocol/stored-kinds.ts";
import { keysUnder } from "./logs.ts";
import type { CheckResult, Finding } from "./report.ts";

const NAME = "its objects can be read";

export const READABLE: CheckResult = { name: NAME, invariants: ["I17"], result: "holds", findings: [] };

export function damageFinding(error: UnreadableObject): Finding {
  const mend = error instanceof DamagedObject ? storedKind(error.key)?.mend : undefined;
  if (mend === undefined) return { problem: error.message, mend: "restore the object from a backup" };
  return { problem: error.message.replace(`; ${mend}`, ""), mend };
}

/** All of them, when one was met. Answers none when it was mended, or replaced, meanwhile. */
export async function damageFindings(store: ObjectStore, api: string, job: string): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for await (const key of keysUnder(store, jobKeys(api, job).root)) {
    if (storedKind(key)?.shape === undefined) continue;
    const bytes = (await store.get(key))?.bytes ?? (await store.read(key))?.bytes;
    if (bytes === undefined) continue;
    try {
      parseStored(key, bytes);
    } catch (error) {
      if (!(error instanceof UnreadableObject)) throw error;
      findings.push(damageFinding(error));
    }
  }
  return findings;
}
