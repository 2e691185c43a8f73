/** A ledger has lost bytes that this driver counted: it must end, and the next one counts what there is. */
export class CountedBytesGone extends Error {
  override readonly name = "CountedBytesGone";
}

export function countedBytesGone(key: string): CountedBytesGone {
  return new CountedBytesGone(`${key} no longer holds bytes that were counted: the job's batches are counted anew`);
}
