import { createHash } from "node:crypto";
import { DatasetError } from "../../services/backends/dataset.ts";
import type { Dataset, DatasetObject } from "../../services/backends/dataset.ts";
import type { ByteRange } from "../../services/backends/object-store.ts";

/** A dataset in memory, by URI; it keeps the contract of the real ones. Pages are small, so that paging is seen. */
export class MemoryDataset implements Dataset {
  readonly objects = new Map<string, Buffer>();
  readonly #pageObjects = 2;

  async *list(prefix: string, options: { readonly after?: string } = {}): AsyncGenerator<readonly DatasetObject[]> {
    const found = [...this.objects]
      .filter(([uri]) => uri.startsWith(prefix) && compare(uri, options.after ?? "") > 0)
      .sort(([a], [b]) => compare(a, b))
      .map(([uri, bytes]) => ({ uri, sizeBytes: bytes.length, etag: etagOf(bytes) }));
    for (let at = 0; at < found.length; at += this.#pageObjects) {
      await Promise.resolve();
      yield found.slice(at, at + this.#pageObjects);
    }
  }

  async read(uri: string, range: ByteRange, etag: string): Promise<Buffer> {
    await Promise.resolve();
    const bytes = this.objects.get(uri);
    if (bytes === undefined) throw new DatasetError("missing", uri, `${uri} is missing`);
    if (etagOf(bytes) !== etag) throw new DatasetError("changed", uri, `${uri} has changed`);
    return Buffer.from(bytes.subarray(range.start, range.end));
  }
}

function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function etagOf(bytes: Buffer): string {
  return createHash("md5").update(bytes).digest("hex");
}
