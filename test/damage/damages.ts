/** What may become of a stored object, and which objects there are. */
import { expect } from "vitest";
import { API_PREFIX } from "../../services/protocol/keys.ts";
import { storedKind, STORED_KINDS, type StoredKindName } from "../../services/protocol/stored-kinds.ts";
import type { Phase, ServiceOverDamage } from "./a-service.ts";

/** Undefined: it is removed. */
export const DAMAGES: Readonly<Record<string, (bytes: Buffer) => Buffer | undefined>> = {
  truncated: (bytes) => bytes.subarray(0, Math.floor(bytes.length / 2)),
  emptied: () => Buffer.alloc(0),
  "made rubbish": (bytes) => Buffer.from("\0\u{fffd}{[".repeat(bytes.length).slice(0, Math.max(8, bytes.length))),
  "made other JSON": () => Buffer.from('{"format":1,"batches":"none","state":7,"job":["x"],"t":"outcome"}\n'),
  removed: () => undefined,
};
export const PHASES = ["ended", "running", "waiting"] as const;

export interface DamagedKey {
  readonly key: string;
  readonly kind: StoredKindName;
  readonly of: Phase | "API";
}

/** One key of each kind, for each of the jobs that have it, and for the API. */
export async function keysOfKinds(service: ServiceOverDamage): Promise<readonly DamagedKey[]> {
  const found = new Map<string, DamagedKey>();
  for (const { key } of (await service.store.list(API_PREFIX)).entries) {
    const kind = kindOf(key);
    const of = PHASES.find((phase) => key.includes(service.ids[phase])) ?? "API";
    found.set(`${kind} of ${of}`, { key, kind, of });
  }
  return [...found.values()];
}

function kindOf(key: string): StoredKindName {
  const kind = (Object.keys(STORED_KINDS) as StoredKindName[]).find((name) => STORED_KINDS[name] === storedKind(key));
  expect(kind, key).toBeDefined();
  return kind ?? "spec";
}
