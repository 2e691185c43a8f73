import type { ObjectStore } from "../backends/object-store.ts";
import { jobKeys } from "../protocol/keys.ts";
import type { CompletionRecord } from "../protocol/jobs.ts";
import { parseStored } from "../protocol/stored.ts";
import type { WorkerDeps } from "./context.ts";
import type { Handler, RunAnswer } from "./handlers/handler.ts";

type Claimed = Extract<CompletionRecord, { state: "claimed" }>;

interface Held {
  readonly record: CompletionRecord;
  readonly version: string;
}

/**
 * Runs on_job_complete under a claim of `completion.json`. Answers true when the ticket has had its use and is to be
 * acked. The claim is read again just before the call and three times in each lease while it runs; when it has moved,
 * the handler is killed.
 */
export async function complete(deps: WorkerDeps, opening: number, handler: Handler): Promise<boolean> {
  const { store, identity, say } = deps;
  const key = jobKeys(identity.api, identity.job).completion;
  const found = await read(store, key);
  if (found?.record.opening !== opening || found.record.state === "done" || found.record.state === "failed")
    return true;
  if (found.record.state === "closed") return true;
  if (found.record.state === "claimed") return false; // somebody runs it; the ticket stays for the case that they die
  const claim: Claimed = { opening, writes: found.record.writes + 1, state: "claimed", worker: identity.name };
  await store.swap(key, encode(claim), found.version);
  const mine = await read(store, key);
  if (!isMine(mine, claim)) return false;
  const over = new AbortController();
  const watching = watch(deps, claim, over.signal, handler);
  say("on_job_complete begins");
  const answer = await handler.complete();
  over.abort();
  await watching;
  say(answer.kind === "done" ? "on_job_complete has ended" : "on_job_complete has failed");
  await record(store, key, claim, answer, identity.name);
  return true;
}

/** Kills the handler when the claim has moved: somebody else runs the hook, or nobody may any more. */
async function watch(deps: WorkerDeps, claim: Claimed, signal: AbortSignal, handler: Handler): Promise<void> {
  const { store, identity, clock, queue, say } = deps;
  const key = jobKeys(identity.api, identity.job).completion;
  for (;;) {
    try {
      await clock.sleep((queue.leaseSeconds * 1000) / 3, signal);
    } catch {
      return; // the hook has ended
    }
    try {
      if (!isMine(await read(store, key), claim)) handler.kill("aborted");
    } catch {
      say("the claim of on_job_complete could not be read; it is read again"); // what it recorded is judged at its end
    }
  }
}

async function record(
  store: ObjectStore,
  key: string,
  claim: Claimed,
  answer: RunAnswer,
  worker: string,
): Promise<void> {
  const found = await read(store, key);
  if (found === undefined || !isMine(found, claim)) return; // it moved: nothing of this run is recorded
  await store.swap(key, encode(afterRun(claim, answer, worker)), found.version);
}

function afterRun({ opening, writes }: Claimed, answer: RunAnswer, worker: string): CompletionRecord {
  // The handler was gone before it began, or its own worker ended it: a claim that stayed would block the hook for as long as
  // this worker lives.
  if (answer.kind === "not_begun" || (answer.kind === "failed" && answer.cause === "aborted"))
    return { opening: opening + 1, writes: writes + 1, state: "open" };
  const counted = { opening, writes: writes + 1, worker };
  if (answer.kind !== "failed") return { ...counted, state: "done" };
  return { ...counted, state: "failed", error: answer.error, traceback: answer.traceback };
}

function isMine(held: Held | undefined, claim: Claimed): held is Held {
  const record = held?.record;
  return record?.state === "claimed" && record.opening === claim.opening && record.worker === claim.worker;
}

async function read(store: ObjectStore, key: string): Promise<Held | undefined> {
  const found = await store.read(key);
  if (found === undefined) return undefined;
  return { record: parseStored<CompletionRecord>(key, found.bytes), version: found.version };
}

function encode(record: CompletionRecord): Buffer {
  return Buffer.from(JSON.stringify(record));
}
