import type { ItemFormat } from "../../protocol/pointers.ts";
import type { Cutter } from "./cutter.ts";
import { ElementCutter } from "./elements.ts";
import { LineCutter, type LineScanner } from "./lines.ts";

/** `offset`: where the cutter goes on in its object, 0 at its beginning. */
export function cutterFor(format: ItemFormat, offset: number, scanner: LineScanner): Cutter {
  return format === "lines" ? new LineCutter(scanner) : new ElementCutter(format, offset > 0);
}
