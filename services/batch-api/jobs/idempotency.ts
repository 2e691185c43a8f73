/** Who owns an idempotency key: one submission, for ever. */
import { createHash } from "node:crypto";
import type { ObjectStore } from "../../backends/object-store.ts";
import { apiKeys } from "../../protocol/keys.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { Problem } from "../../protocol/problems.ts";
import type { RetryRequest } from "../../protocol/retry.ts";
import type { Submission } from "../../protocol/submission.ts";
import type { SubmitOptions } from "./job-service.ts";
import { encodeStored, readObject } from "./stored.ts";

/** `keys/<sha256>`: the submission that was first under a key. */
export interface Claim {
  /** The first job id that it drew. */
  readonly job: string;
  /** 128 random bits, hex; stands in the job's spec too. */
  readonly submission: string;
  /** `bodyHash` of what was submitted. */
  readonly body: string;
}

/**
 * Whose submission it is: the winner's under this key, which the loser adopts; `mine` without a key. With "read" only looks,
 * and answers undefined when nobody has the key. Throws `Problem` when the key stands for another body.
 */
export async function claimKey(
  store: ObjectStore,
  api: string,
  options: SubmitOptions,
  mine: Claim,
  mode: "write",
): Promise<Claim>;
export async function claimKey(
  store: ObjectStore,
  api: string,
  options: SubmitOptions,
  mine: Claim,
  mode: "read",
): Promise<Claim | undefined>;
export async function claimKey(
  store: ObjectStore,
  api: string,
  options: SubmitOptions,
  mine: Claim,
  mode: "read" | "write",
): Promise<Claim | undefined> {
  const { idempotencyKey } = options;
  if (idempotencyKey === undefined) return mode === "write" ? mine : undefined;
  checkKey(idempotencyKey);
  const key = apiKeys(api).idempotency(keyHash(options.principal, idempotencyKey));
  if (mode === "write" && (await store.put(key, encodeStored(mine)))) return mine;
  const winner = await readObject<Claim>(store, key);
  if (winner === undefined) {
    if (mode === "read") return undefined;
    throw new Error(`${key} exists and cannot be read: an object of the store was removed`);
  }
  if (winner.body !== mine.body) {
    throw new Problem(
      "conflict",
      `Idempotency-Key ${JSON.stringify(idempotencyKey)} was used for another body (job ${winner.job}): ` +
        "send the same body again, or use a new key",
    );
  }
  return winner;
}

/**
 * The n-th job id of a submission. Should another submission hold one, the next is computed and not drawn, so that all
 * who race under one key walk the same way.
 */
export function candidateJob(claim: Claim, candidate: number): string {
  if (candidate === 0) return claim.job;
  const hash = createHash("sha256")
    .update(`${claim.submission}/${String(candidate)}`)
    .digest("hex");
  return claim.job.slice(0, 11) + hash.slice(0, 5);
}

/** sha256 of a submission: the same for bodies that mean the same whatever the order of their fields; items by their bytes. */
export function bodyHash(submission: Submission): string {
  const hash = createHash("sha256");
  const { input, ...rest } = submission;
  if (input.kind === "item_list") {
    hash.update(stableJson({ ...rest, input: { kind: input.kind, batchSize: input.batchSize } }));
    for (const item of input.items) hash.update(`\n${String(item.length)}:`).update(item);
  } else {
    hash.update(stableJson({ ...rest, input }));
  }
  return hash.digest("hex");
}

/** sha256 of a retry, which no submission has. */
export function retryHash(job: string, request: RetryRequest): string {
  return createHash("sha256")
    .update(`retry ${job}\n${stableJson(request)}`)
    .digest("hex");
}

function stableJson(value: unknown): string {
  return JSON.stringify(value, (_key, held: unknown) =>
    typeof held === "object" && held !== null && !Array.isArray(held)
      ? Object.fromEntries(Object.entries(held).sort(([a], [b]) => (a < b ? -1 : 1)))
      : held,
  );
}

function keyHash(principal: string, idempotencyKey: string): string {
  // The principal's length keeps ("a", "bc") and ("ab", "c") apart.
  return createHash("sha256")
    .update(`${String(principal.length)}:${principal}${idempotencyKey}`)
    .digest("hex");
}

function checkKey(idempotencyKey: string): void {
  if (idempotencyKey.length >= 1 && idempotencyKey.length <= LIMITS.idempotencyKeyCharactersMax) return;
  throw new Problem(
    "invalid_request",
    `Idempotency-Key has ${String(idempotencyKey.length)} characters: give 1 to ${String(LIMITS.idempotencyKeyCharactersMax)}`,
  );
}
