/** Runs splitters over a memory store and reads back what they cut. */
import { MemoryStore } from "../../services/backends/object-store.memory.ts";
import { Splitter } from "../../services/batch-api/splitter/splitter.ts";
import type { SplitStep } from "../../services/batch-api/splitter/splitter.ts";
import type { JobInput } from "../../services/protocol/jobs.ts";
import { jobKeys } from "../../services/protocol/keys.ts";
import { itemRanges, joinPayload } from "../../services/protocol/payload.ts";
import { pointerAt } from "../../services/protocol/pointers.ts";
import type { SplitFile } from "../../services/protocol/pointers.ts";
import type { MemoryDataset } from "./memory-dataset.ts";
import { VirtualClock } from "./virtual-clock.ts";

export const keys = jobKeys("api", "0123456789abcdef");

export interface SplittingOptions {
  readonly store: MemoryStore;
  readonly dataset: MemoryDataset;
  readonly input: JobInput;
  readonly chunkBytes?: number;
  /** Batches in a split file; small, so that there are many. Default 2. */
  readonly splitBatches?: number;
  readonly stepBytes?: number;
}

export function emptyStore(): MemoryStore {
  return new MemoryStore({ clock: new VirtualClock() });
}

type ListedInput = Extract<JobInput, { readonly kind: "file_path_lister" | "delimited_files" }>;

export function aListedInput(batchSize: number, paths: readonly string[] = ["s3://data/"]): ListedInput {
  return { kind: "delimited_files", batch_size: batchSize, paths, includes: [], excludes: [] };
}

export function aSplitter(options: SplittingOptions): Splitter {
  const { store, dataset, input } = options;
  return new Splitter({
    spec: { api: "api", job: "0123456789abcdef", input },
    store,
    dataset,
    chunkBytes: options.chunkBytes ?? 32,
    stepBytes: options.stepBytes ?? 100,
    batchesIn: () => options.splitBatches ?? 2,
  });
}

export async function finished(splitter: Splitter): Promise<SplitStep> {
  for (;;) {
    const step = await splitter.step();
    if (step.kind === "ended" || step.kind === "no_match") return step;
  }
}

/** All objects of a store. */
export async function contents(store: MemoryStore): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (let after: string | undefined, more = true; more;) {
    const page = await store.list("", after === undefined ? {} : { after });
    for (const { key } of page.entries) found.set(key, String((await store.get(key))?.bytes));
    after = page.next;
    more = after !== undefined;
  }
  return found;
}

/** For each batch: its items as parsed from the handler's payload, and their raw texts as found one by one. */
export async function batchesOf(
  store: MemoryStore,
  dataset: MemoryDataset,
): Promise<{ readonly parsed: unknown[]; readonly raw: string[] }[]> {
  const batches: { parsed: unknown[]; raw: string[] }[] = [];
  for (const [key, text] of await contents(store)) {
    if (!key.startsWith(keys.splits) || key === keys.splitEnd) continue;
    const file = JSON.parse(text) as SplitFile;
    for (let offset = 0; offset < file.batches.length; offset++) {
      const { spans } = pointerAt(file, offset);
      const buffers: Buffer[] = [];
      for (const span of spans) {
        const stored = span.uri.startsWith("store:") ? await store.get(span.uri.slice(6), span) : undefined;
        buffers.push(stored?.bytes ?? (await dataset.read(span.uri, span, span.etag)));
      }
      const raw = spans.flatMap((span, at) => {
        const bytes = buffers[at] ?? Buffer.alloc(0);
        return itemRanges(span, bytes).map(({ start, end }) =>
          bytes.toString("utf8", start - span.start, end - span.start),
        );
      });
      batches.push({ parsed: JSON.parse(joinPayload(spans, buffers).toString()) as unknown[], raw });
    }
  }
  return batches;
}
