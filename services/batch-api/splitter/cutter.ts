/** What the splitter asks of a format: where so many items end. One cutter lives for one object. */
import type { ItemFormat } from "../../protocol/pointers.ts";
import { ElementCutter } from "./elements.ts";
import { LineCutter } from "./lines.ts";
import type { LineScanner } from "./lines.ts";

export interface Cutter {
  /** Items that ended since `begin`. */
  readonly items: number;
  /** The span of those items in the object; means nothing while `items` is 0. */
  readonly start: number;
  readonly end: number;
  /** A new span begins; the scan stands at `offset` of the object. */
  begin(offset: number): void;
  /**
   * Goes through `chunk` from index `from`, until `wanted` more items have ended or the chunk is through; `base` is the
   * offset of `chunk[0]` in the object. Answers the index to go on at. Throws `JsonShapeError`.
   */
  take(chunk: Buffer, base: number, from: number, wanted: number): number;
  /** The object ends at `size`, which may end one more item. Throws `JsonShapeError`. */
  finish(size: number): void;
}

/** `offset`: where the cutter goes on in its object, 0 at its beginning. */
export function cutterFor(format: ItemFormat, offset: number, scanner: LineScanner): Cutter {
  return format === "lines" ? new LineCutter(scanner) : new ElementCutter(format, offset > 0);
}
