/** docs/operations.md, as tests read it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const operationsPage = readFileSync(join(import.meta.dirname, "../../docs/operations.md"), "utf8");

/** Cells of the rows of the first table below a heading. */
export function tableUnder(heading: string): readonly (readonly string[])[] {
  const section = operationsPage.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("|") && !/^\| *-/.test(line));
  return rows.slice(1).map((row) => row.split("|").slice(1, -1));
}

/** What stands in backticks. */
export function wordsOf(cell = ""): readonly string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, word]) => word ?? "");
}
