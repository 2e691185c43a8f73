/** What the splitter asks of a format: where so many items end. One cutter lives for one object. */
export interface Cutter {
  /** Items that ended since `begin`. */
  readonly items: number;
  /** The span of those items in the object; means nothing while `items` is 0. */
  readonly start: number;
  readonly end: number;
  /** A new span begins; the scan stands at `offset` of the object. */
  begin(offset: number): void;
  /**
   * Goes through `chunk` from index `from`, until `wanted` more items have ended or the chunk is through; `chunkStart` is the
   * offset of `chunk[0]` in the object. Answers the index to go on at. Throws `JsonShapeError`.
   */
  take(chunk: Buffer, chunkStart: number, from: number, wanted: number): number;
  /** The object ends at `size`, which may end one more item. Throws `JsonShapeError`. */
  finish(size: number): void;
}
