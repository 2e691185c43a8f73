import type { Dataset } from "../../backends/dataset.ts";
import type { ObjectStore } from "../../backends/object-store.ts";
import type { Source } from "../../protocol/pointers.ts";
import { DamagedObject } from "../../protocol/stored.ts";

export interface SourceReads {
  readonly store: ObjectStore;
  readonly dataset: Dataset;
}

/** Bytes [start, end) of a source, in `into` or anywhere else. Throws `DatasetError` when it is not as it was listed. */
export async function readSource(
  { store, dataset }: SourceReads,
  { uri, etag }: Pick<Source, "uri" | "etag">,
  start: number,
  end: number,
  into: Buffer,
): Promise<Buffer> {
  if (!uri.startsWith("store:")) return dataset.read(uri, { start, end }, etag, into);
  const key = uri.slice("store:".length);
  const stored = await store.get(key, { start, end });
  if (stored?.bytes.length !== end - start) throw new DamagedObject(key, "is gone or shorter than it was");
  return stored.bytes;
}
