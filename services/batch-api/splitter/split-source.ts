import { DatasetError, type Dataset } from "../../backends/dataset.ts";
import type { ObjectStore } from "../../backends/object-store.ts";
import type { JobSpec } from "../../protocol/jobs.ts";
import { Unsplittable, type SplitSource } from "../driver/context.ts";
import { Splitter, type SplitterOptions } from "./splitter.ts";

/** A splitter as its driver sees it. */
export function splitSource(
  spec: JobSpec,
  store: ObjectStore,
  dataset: Dataset,
  sizes: Pick<SplitterOptions, "chunkBytes" | "stepBytes"> = {},
): SplitSource {
  const splitter = new Splitter({ spec, store, dataset, ...sizes });
  return {
    async step() {
      const step = await splitter.step().catch((error: unknown) => {
        const lasts = error instanceof DatasetError && error.fault !== "unreachable";
        throw lasts ? new Unsplittable(error.message, { cause: error }) : error;
      });
      if (step.kind === "no_match") throw new Unsplittable(step.message);
      return step.kind === "ended" ? "end" : "more";
    },
    async endEarly() {
      await splitter.endEarly();
    },
  };
}
