/** Generated JSON lines. */
import { closeSync, openSync, writeSync } from "node:fs";

/** Lines of about 300 bytes; answers the file's size, which is `bytes` or up to 3 MB more. */
export function writeLines(path: string, bytes: number): number {
  const lines = Array.from({ length: Math.min(10_000, Math.ceil(bytes / 300)) }, (_, at) => {
    return `${JSON.stringify({ id: at, text: "x".repeat(250 + ((at * 7919) % 60)) })}\n`;
  });
  const block = Buffer.from(lines.join(""));
  const file = openSync(path, "w");
  let written = 0;
  for (; written < bytes; written += block.length) writeSync(file, block);
  closeSync(file);
  return written;
}
