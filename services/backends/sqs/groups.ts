/** Requests of several entries, each of which may fail in a request that succeeds. */
import { tens } from "./bodies.ts";
import { inParallel } from "./call-window.ts";
import type { SqsCall, SqsCalls } from "./calls.ts";
import { faultOfCode } from "./faults.ts";
import type { GroupAnswer } from "./requests.ts";

/** An entry that SQS did not take: never will (`senderFault`), or not within the call's budget. */
export interface Refusal<T> {
  readonly entry: T;
  readonly code: string;
  readonly senderFault: boolean;
}

type GroupRequest<T> = (group: readonly T[]) => Promise<GroupAnswer>;

/** Makes a request until each of its entries is done or refused. */
export async function settleGroup<T>(
  calls: SqsCalls,
  call: SqsCall,
  group: readonly T[],
  request: GroupRequest<T>,
): Promise<readonly Refusal<T>[]> {
  const refusals: Refusal<T>[] = [];
  let left = group;
  for (let failures = 0; ; failures += 1) {
    const { turn } = calls;
    const asked = left;
    const answer = await calls.run(call, () => request(asked));
    if (answer.done.length === asked.length && answer.failed.length === 0) return refusals;
    const undone = undoneOf(asked, answer);
    if (undone.some(({ code }) => faultOfCode(code) === "throttled")) calls.slowDown(turn);
    refusals.push(...undone.filter(({ senderFault }) => senderFault));
    const again = undone.filter(({ senderFault }) => !senderFault);
    if (again.length === 0) return refusals;
    if (!(await calls.backOff(call, failures))) return [...refusals, ...again];
    left = again.map(({ entry }) => entry);
  }
}

/** The same for any number of entries, ten a request, so many requests at a time. */
export async function settleAll<T>(
  entries: readonly T[],
  width: number,
  settle: (group: readonly T[]) => Promise<readonly Refusal<T>[]>,
): Promise<readonly Refusal<T>[]> {
  const refusals: Refusal<T>[] = [];
  await inParallel(tens(entries), width, async (group) => {
    refusals.push(...(await settle(group)));
  });
  return refusals;
}

function undoneOf<T>(asked: readonly T[], { done, failed }: GroupAnswer): readonly Refusal<T>[] {
  const failures = new Map(failed.map((failure) => [failure.Id, failure]));
  const succeeded = new Set(done);
  return asked.flatMap((entry, at) => {
    const failure = failures.get(String(at));
    if (failure === undefined && succeeded.has(String(at))) return [];
    const code = failure?.Code ?? "no answer";
    // Throttling is sometimes called the sender's fault.
    return { entry, code, senderFault: failure?.SenderFault === true && faultOfCode(code) !== "throttled" };
  });
}
