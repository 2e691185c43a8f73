/** Aligned columns; as wide as their widest cell. */
import { visible, type Paint } from "./paint.ts";

export interface Column {
  readonly title: string;
  /** Numbers stand at the right. */
  readonly right?: boolean;
}

const GAP = "  ";

/** Lines of a table with a head; no trailing blanks. */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  paint: Paint,
): readonly string[] {
  const widths = columns.map(({ title }, at) =>
    Math.max(title.length, ...rows.map((row) => visible(row[at] ?? "").length)),
  );
  const line = (cells: readonly string[]) =>
    columns
      .map(({ right }, at) => {
        const cell = cells[at] ?? "";
        const blanks = " ".repeat(Math.max(0, (widths[at] ?? 0) - visible(cell).length));
        return right === true ? blanks + cell : cell + blanks;
      })
      .join(GAP)
      .trimEnd();
  const head = line(columns.map(({ title }) => title));
  return [paint("dim", head), ...rows.map(line)];
}

/** `name: value` lines, the values in one column; a value of several lines is indented under its first. */
export function factLines(facts: readonly (readonly [name: string, value: string])[], paint: Paint): readonly string[] {
  const width = Math.max(0, ...facts.map(([name]) => name.length));
  return facts.flatMap(([name, value]) => {
    const [first = "", ...rest] = value.split("\n");
    const indent = " ".repeat(width + GAP.length);
    return [`${paint("dim", name.padEnd(width))}${GAP}${first}`.trimEnd(), ...rest.map((line) => indent + line)];
  });
}
