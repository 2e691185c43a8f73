import fc from "fast-check";
import { afterAll, beforeAll, describe, it } from "vitest";
import type { ObjectStore } from "../../services/backends/object-store.ts";
import type { OpenedStores } from "./opened-stores.ts";
import { listingSentences } from "./object-store.listings.ts";
import { logSentences, growingLogSentences } from "./object-store.logs.ts";
import { storeModelProperty } from "./object-store.model.ts";
import { folderSentences, keySentences, objectSentences, rangeSentences } from "./object-store.objects.ts";
import { recordSentences, recordRaceSentences } from "./object-store.records.ts";

/**
 * One `it` for each sentence of the seam's docstrings; every implementation passes it. `folders`: whether what is below it
 * has folders, and so refuses a key that is another key's folder.
 */
export function objectStoreContract(
  name: string,
  open: () => Promise<OpenedStores>,
  { folders = true }: { readonly folders?: boolean } = {},
): void {
  describe(`${name} as an object store`, () => {
    let stores: OpenedStores;
    let one: ObjectStore;
    let other: ObjectStore;

    beforeAll(async () => {
      stores = await open();
      ({ one, other } = stores);
    });
    afterAll(async () => await stores.close());

    keySentences(() => ({ one, other }));
    if (folders) folderSentences(() => ({ one, other }));
    objectSentences(() => ({ one, other }));
    rangeSentences(() => ({ one, other }));
    recordSentences(() => ({ one, other }));
    recordRaceSentences(() => ({ one, other }));
    logSentences(() => ({ one, other }));
    growingLogSentences(() => ({ one, other }));
    listingSentences(() => ({ one, other }));

    it("behaves as a simple model does, whatever the calls", async () => {
      await fc.assert(storeModelProperty(open), { numRuns: 30 });
    });
  });
}
