/** A retry: its pointers are exactly the items of its parent that it says, each in the bytes where the parent had it. */
import { rootOf, type ErrorRow, type RetryInput } from "../../../protocol/jobs.ts";
import { jobKeys } from "../../../protocol/keys.ts";
import { Problem } from "../../../protocol/problems.ts";
import { CHANGED_ETAG, SPLIT_FORMAT, type SplitFile } from "../../../protocol/pointers.ts";
import { parseStoredLine } from "../../../protocol/stored.ts";
import { ERROR_ROW, storedKind } from "../../../protocol/stored-kinds.ts";
import { readObject } from "../stored.ts";
import type { Check } from "./check.ts";
import { readFacts, type JobFacts } from "./facts.ts";
import type { Finding } from "./report.ts";

const MEND = "stop this job, and retry its parent again; its own rows are of the items that its pointers name";

export const retriedChecks: readonly Check[] = [
  { name: "a retry's batches hold the items of its parent that it retries", invariants: ["I4"], run: itemsOfParent },
  { name: "a retry stands in its family", invariants: ["I12"], run: markedInFamily },
];

/** One item of a job, as its split says it. */
interface PointedItem {
  /** Its index in the family's root. */
  readonly origin: number;
  readonly uri: string;
  readonly etag: string;
  /** The span that it lies in. */
  readonly start: number;
  readonly end: number;
}

async function* itemsOfParent(facts: JobFacts): AsyncGenerator<Finding> {
  const { spec } = facts;
  if (spec.input.kind !== "retry") return;
  const parent = await readParent(facts, spec.input);
  if ("problem" in parent) {
    yield parent;
    return;
  }
  if (rootOf(parent.spec) !== spec.input.root) {
    yield { problem: `its root is ${spec.input.root}, and its parent's ${rootOf(parent.spec)}`, mend: MEND };
  }
  const wanted = wantedItems(parent, await pointedItems(parent), await failedItems(parent), spec.input);
  const found = await pointedItems(facts);
  const shared = Math.min(wanted.length, found.length);
  for (let item = 0; item < shared; item++) {
    const [theirs, ours] = [wanted[item], found[item]];
    if (theirs === undefined || ours === undefined) break;
    if (theirs.origin !== ours.origin) {
      const problem = `item ${String(item)} is item ${String(ours.origin)} of the root, and ${String(theirs.origin)} is the next one to retry`;
      yield { problem, mend: MEND };
      return;
    }
    const inside = theirs.uri === ours.uri && ours.start >= theirs.start && ours.end <= theirs.end;
    const same = ours.etag === theirs.etag || ours.etag === CHANGED_ETAG;
    if (!inside || !same)
      yield { problem: `item ${String(item)} does not lie where job ${parent.spec.job} has it`, mend: MEND };
  }
  yield* restOf(facts, spec.input, { wanted, found });
}

/** What the family has come to is asked of its root. */
async function* markedInFamily({ store, spec }: JobFacts): AsyncGenerator<Finding> {
  if (spec.input.kind !== "retry") return;
  const root = jobKeys(spec.api, spec.input.root);
  const marker = root.retry(spec.job);
  if ((await store.size(marker)) !== undefined || (await store.size(root.spec)) === undefined) return;
  const problem = `${marker} is gone, so that results of the family lack those of this job`;
  yield { problem, mend: storedKind(marker)?.mend ?? "" };
}

async function readParent({ store, spec }: JobFacts, { retry_of: parent }: RetryInput): Promise<JobFacts | Finding> {
  try {
    const facts = await readFacts(store, spec.api, parent);
    if (facts.manifest !== undefined && facts.end !== undefined) return facts;
    return { problem: `job ${parent}, which it retries, has no manifest or no end of its split`, mend: MEND };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { problem: `job ${parent}, which it retries, is gone`, mend: MEND };
  }
}

/** Behind the parent's known items only what it had not cut may follow, and with an ended split nothing may be missing. */
function* restOf(
  { end }: JobFacts,
  { remaining }: RetryInput,
  { wanted, found }: { readonly wanted: readonly PointedItem[]; readonly found: readonly PointedItem[] },
): Generator<Finding> {
  if (end?.complete === true && found.length < wanted.length) {
    const problem = `${String(wanted.length)} items are to be retried, and its batches hold ${String(found.length)}`;
    yield { problem, mend: MEND };
  }
  let last = found[wanted.length - 1]?.origin ?? -1;
  for (const [at, { origin }] of found.slice(wanted.length).entries()) {
    const item = String(wanted.length + at);
    if (!remaining) {
      yield { problem: `item ${item} is none of the ${String(wanted.length)} that are to be retried`, mend: MEND };
      return;
    }
    if (origin <= last) {
      yield {
        problem: `item ${item} (${String(origin)} of the root) comes after item ${String(last)} of it`,
        mend: MEND,
      };
    }
    last = origin;
  }
}

function wantedItems(
  parent: JobFacts,
  items: readonly PointedItem[],
  failed: ReadonlySet<number>,
  { retried }: RetryInput,
): readonly PointedItem[] {
  const wanted: PointedItem[] = [];
  for (const [batch, count] of parent.itemsOf.entries()) {
    const first = parent.firstItemOf[batch] ?? 0;
    const skipped = retried === "failed_and_skipped" && !parent.folded.settled.has(batch);
    for (let index = first; index < first + count; index++) {
      const item = items[index];
      if (item !== undefined && (skipped || failed.has(index))) wanted.push(item);
    }
  }
  return wanted;
}

async function failedItems({ store, manifest }: JobFacts): Promise<ReadonlySet<number>> {
  const failed = new Set<number>();
  for (const { key } of manifest?.errors ?? []) {
    const text = (await store.get(key))?.bytes.toString("utf8") ?? "";
    for (const line of text.split("\n").filter(Boolean))
      failed.add(parseStoredLine<ErrorRow>(key, line, ERROR_ROW).index);
  }
  return failed;
}

/** Every item of a job by its pointers. */
async function pointedItems({ store, keys, splits }: JobFacts): Promise<readonly PointedItem[]> {
  const items: PointedItem[] = [];
  for (let split = 0; split < splits; split++) {
    const file = await readObject<SplitFile>(store, keys.split(split), SPLIT_FORMAT);
    const origins = file?.origins === undefined ? undefined : everyOrigin(file.origins);
    const first = items.length;
    for (const flat of file?.batches ?? []) {
      for (let at = 0; at + 3 < flat.length; at += 4) {
        const [source = -1, start = 0, end = 0, count = 0] = flat.slice(at, at + 4);
        const { uri = "", etag = "" } = file?.sources[source] ?? {};
        for (let item = 0; item < count; item++) {
          const index = items.length;
          items.push({ origin: origins === undefined ? index : (origins[index - first] ?? -1), uri, etag, start, end });
        }
      }
    }
  }
  return items;
}

function everyOrigin(runs: readonly number[]): readonly number[] {
  const origins: number[] = [];
  for (let run = 0; run + 1 < runs.length; run += 2) {
    for (let item = 0; item < (runs[run + 1] ?? 0); item++) origins.push((runs[run] ?? 0) + item);
  }
  return origins;
}
