/** Batches of eight items on handlers that do bad things with some of them; what came of it, as a worker wrote it down. */
import type { AttemptErrors } from "../../services/protocol/errors.ts";
import type { RunMeta } from "../../services/protocol/frames.ts";
import { jobKeys } from "../../services/protocol/keys.ts";
import type { ItemRange } from "../../services/protocol/ledger.ts";
import type { BatchMessage } from "../../services/protocol/messages.ts";
import type { WorkerDeps } from "../../services/worker/context.ts";
import type { RunAnswer } from "../../services/worker/handlers/handler.ts";
import { RunnerBench } from "./a-runner.ts";
import { anIdentity, aOneItemMessage } from "./a-worker.ts";
import { aJobSpec } from "./builders.ts";
import { FakeHandler } from "./fake-handler.ts";

export type Deed = "raise" | "die" | "hang" | "wrong length" | "out of memory" | "end before it begins";

export const KEYS = jobKeys(anIdentity().api, anIdentity().job);

/** What the handlers of a test do with their items: a bad one spoils whatever it runs in. */
export class Handlers {
  /** Calls: index of the first item, and how many. */
  readonly calls: { readonly first: number; readonly items: number; readonly meta: RunMeta }[] = [];
  readonly all: ScriptedHandler[] = [];
  readonly #deed: (indexes: readonly number[]) => Deed | undefined;

  constructor(deed: (indexes: readonly number[]) => Deed | undefined) {
    this.#deed = deed;
  }

  static bad(bad: Readonly<Record<number, Deed>>): Handlers {
    return new Handlers((indexes) => {
      const first = indexes.find((index) => bad[index] !== undefined);
      return first === undefined ? undefined : bad[first];
    });
  }

  readonly start: WorkerDeps["startHandler"] = () => {
    const handler = new ScriptedHandler((meta) => {
      this.calls.push({ first: meta.first, items: meta.items, meta });
      return this.#deed(Array.from({ length: meta.items }, (_, at) => meta.first + at));
    });
    this.all.push(handler);
    return Promise.resolve({ handler, ready: { hook: false } });
  };

  get ranges(): ItemRange[] {
    return this.calls.map(({ first, items }) => [first, first + items]);
  }
}

export class ScriptedHandler extends FakeHandler {
  readonly #deed: (meta: RunMeta) => Deed | undefined;

  constructor(deed: (meta: RunMeta) => Deed | undefined) {
    super();
    this.#deed = deed;
  }

  override run(meta: RunMeta, items: Buffer): Promise<RunAnswer> {
    const answer = super.run(meta, items);
    if (this.depth === 0) return answer; // it is gone
    if ((JSON.parse(items.toString()) as unknown[]).length !== meta.items)
      throw new Error("other items than it was told");
    const deed = this.#deed(meta);
    if (deed === undefined) this.answer(rowsOf(meta));
    else if (deed === "die") this.die();
    else if (deed === "end before it begins") this.dieUnbegun();
    else if (deed === "out of memory") this.die("out_of_memory");
    else if (deed !== "hang") this.answer(failure(deed === "raise" ? "raised" : "bad_answer"));
    return answer;
  }
}

function rowsOf({ first, items }: RunMeta): RunAnswer {
  const rows = Array.from({ length: items }, (_, at) => `{"index":${String(first + at)},"result":1}\n`);
  return { kind: "done", rows: items, bytes: Buffer.from(rows.join("")) };
}

function failure(cause: "raised" | "bad_answer"): RunAnswer {
  return { kind: "failed", cause, error: `it ${cause}`, traceback: "" };
}

/** The items 0 to 7 as batch 0, in its only attempt. */
export function aBatchOfEight(over: Partial<BatchMessage> = {}): BatchMessage {
  const span = { uri: "store:items", etag: "", format: "lines" as const, start: 0, end: 16, items: 8 };
  return aOneItemMessage(0, { pointer: { items: 8, spans: [span] }, ...over });
}

export async function aBench(handlers: Handlers, over: Partial<WorkerDeps> = {}): Promise<RunnerBench> {
  const spec = aJobSpec({ attempts: 1, ...over.spec });
  const bench = await RunnerBench.started({ startHandler: handlers.start, ...over, spec });
  bench.runner.watch(new AbortController().signal).catch((error: unknown) => bench.broken.push(error));
  return bench;
}

export async function take(bench: RunnerBench, message = aBatchOfEight(), deliveries = 1): Promise<void> {
  const alone = message.alone === true || deliveries > 1;
  bench.runner.took([bench.hand.take({ message, receipt: `r${String(message.batch)}`, deliveries }, alone)]);
  for (let turn = 0; turn < 12; turn += 1) await bench.settle();
}

export async function failedItems(bench: RunnerBench): Promise<(readonly [index: number, cause: string])[]> {
  const found = await bench.world.memory.get(KEYS.errors(anIdentity().name, 0));
  const lines = found?.bytes.toString().trimEnd().split("\n") ?? [];
  return lines
    .map((line) => JSON.parse(line) as AttemptErrors)
    .flatMap(({ items, cause }) => items.map(([index]) => [index, cause] as const));
}

export async function rows(bench: RunnerBench, worker = anIdentity().name): Promise<number[]> {
  const found = await bench.world.memory.get(KEYS.results(worker, 0));
  const lines = found?.bytes.toString().trimEnd().split("\n") ?? [];
  return lines.map((line) => (JSON.parse(line) as { index: number }).index);
}

export async function kept(bench: RunnerBench): Promise<string[]> {
  const page = await bench.world.memory.list(KEYS.isolations);
  return page.entries.map(({ key }) => key.slice(key.lastIndexOf("/") + 1)).sort();
}
