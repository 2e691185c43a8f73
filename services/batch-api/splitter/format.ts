/** Which of the three JSON layouts an object has, told from its first bytes. */
import { bomBytes, isBlank, JsonShapeError, valueRanges } from "../../protocol/json-scanner.ts";
import type { ItemRange } from "../../protocol/json-scanner.ts";
import type { ItemFormat } from "../../protocol/pointers.ts";

const NEWLINE = 0x0a;
const OPEN = 0x5b;
const OPEN_BRACE = 0x7b;

/**
 * Decides from the first line that is not blank:
 * - it begins with `[`: an array, unless the line alone is a whole JSON array and more lines follow: then lines;
 * - it is one JSON value: lines;
 * - it begins an object that it does not end, and the next line does not begin an object: concatenated (pretty-printed);
 * - it holds several JSON values: concatenated;
 * - anything else: lines, whose first one is bad; that item will fail alone.
 *
 * `head` is the object's beginning, `whole` says that it is all of it. A first line longer than `head` that begins with
 * `[` is an array; with several values, concatenated; else lines.
 */
export function formatOf(head: Buffer, whole: boolean): ItemFormat {
  const first = nextLine(head, bomBytes(head));
  if (first === undefined) return "lines";
  const complete = whole || first.end < head.length;
  const follower = nextLine(head, first.end);
  const line = head.subarray(first.start, first.end);
  if (complete && isJson(line)) return line[0] === OPEN && whole && follower === undefined ? "array" : "lines";
  const values = valuesIn(line);
  if (line[0] === OPEN) return values.length === 1 && values[0]?.end === line.length && follower ? "lines" : "array";
  const [one, two] = values;
  if (one && two && isJson(slice(line, one)) && isJson(slice(line, two))) return "concatenated";
  if (!complete || line[0] !== OPEN_BRACE || values.length > 0) return "lines";
  return follower === undefined || head[follower.start] === OPEN_BRACE ? "lines" : "concatenated";
}

/** The next line with something in it, without white space around it. */
function nextLine(head: Buffer, from: number): ItemRange | undefined {
  let start = from;
  while (start < head.length && isBlank(head[start] ?? 0)) start += 1;
  if (start === head.length) return undefined;
  const found = head.indexOf(NEWLINE, start);
  let end = found === -1 ? head.length : found;
  while (found !== -1 && isBlank(head[end - 1] ?? 0)) end -= 1;
  return { start, end };
}

/** The values that the line holds whole. */
function valuesIn(line: Buffer): readonly ItemRange[] {
  const ranges: ItemRange[] = [];
  try {
    return valueRanges(line, "concatenated", 0, ranges);
  } catch (error) {
    if (error instanceof JsonShapeError) return ranges; // those before the one that the line does not end
    throw error;
  }
}

function slice(bytes: Buffer, range: ItemRange): Buffer {
  return bytes.subarray(range.start, range.end);
}

function isJson(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString("utf8"));
    return true;
  } catch {
    return false; // the question was whether it parses
  }
}
