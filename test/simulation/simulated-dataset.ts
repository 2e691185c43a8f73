import type { Dataset, DatasetObject } from "../../services/backends/dataset.ts";
import type { ByteRange } from "../../services/backends/object-store.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

/** The user's data, as one process reaches it. */
export class SimulatedDataset implements Dataset {
  readonly #process: SimulatedProcess;
  readonly #dataset: Dataset;

  constructor(process: SimulatedProcess, dataset: Dataset) {
    this.#process = process;
    this.#dataset = dataset;
  }

  async *list(prefix: string, options?: { readonly after?: string }): AsyncGenerator<readonly DatasetObject[]> {
    const pages = this.#dataset.list(prefix, options)[Symbol.asyncIterator]();
    for (;;) {
      const page = await this.#process.call(
        () => `list ${prefix}`,
        () => pages.next(),
      );
      if (page.done === true) return;
      yield page.value;
    }
  }

  read(uri: string, range: ByteRange, etag: string): Promise<Buffer> {
    return this.#process.call(
      () => `read ${uri} ${String(range.start)}`,
      () => this.#dataset.read(uri, range, etag),
    );
  }
}
