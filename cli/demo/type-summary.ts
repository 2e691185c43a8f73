/** What the demo's results say, from the rows themselves. */
import { counted } from "../amounts.ts";
import type { Paint } from "../paint.ts";
import { tableLines } from "../table.ts";

interface TypeRow {
  readonly index: number;
  readonly result: {
    readonly path: string;
    readonly label?: string;
    readonly group?: string;
    readonly score?: number;
    readonly misnamed?: boolean;
    readonly error?: string;
  };
}

const TYPES_SHOWN = 12;

export interface Misnamed {
  readonly path: string;
  readonly label: string;
  readonly score: number;
}

/** Counts rows as they stream by; memory goes with the number of items by one bit or so, not with the rows. */
export class TypeSummary {
  /** Rows seen of each index: 0, 1 or more. */
  readonly #seen: Uint8Array;
  readonly #files = new Map<string, { files: number; group: string; misnamed: number }>();
  #misnamed = 0;
  #example: Misnamed | undefined;
  #unreadable = 0;

  constructor(items: number) {
    this.#seen = new Uint8Array(items);
  }

  addResult(line: string): void {
    const { index, result } = JSON.parse(line) as TypeRow;
    this.#count(index);
    if (result.label === undefined) {
      this.#unreadable += 1;
      return;
    }
    const type = this.#files.get(result.label) ?? { files: 0, group: result.group ?? "", misnamed: 0 };
    type.files += 1;
    this.#files.set(result.label, type);
    if (result.misnamed !== true) return;
    type.misnamed += 1;
    this.#misnamed += 1;
    const { path, label, score = 0 } = result;
    // The surest one is the best example.
    if (this.#example === undefined || score > this.#example.score) this.#example = { path, label, score };
  }

  addFailed(line: string): void {
    this.#count((JSON.parse(line) as { readonly index: number }).index);
  }

  /** Items without a row, and rows beyond the first of their item. */
  get faults(): { readonly lost: number; readonly twice: number } {
    let lost = 0;
    let twice = 0;
    for (const rows of this.#seen) {
      if (rows === 0) lost += 1;
      if (rows > 1) twice += 1;
    }
    return { lost, twice: twice + this.#foreign };
  }

  #foreign = 0;

  get misnamed(): { readonly files: number; readonly example: Misnamed | undefined } {
    return { files: this.#misnamed, example: this.#example };
  }

  get unreadable(): number {
    return this.#unreadable;
  }

  table(paint: Paint): readonly string[] {
    const all = [...this.#files].sort(([a, one], [b, other]) => other.files - one.files || (a < b ? -1 : 1));
    const total = all.reduce((sum, [, { files }]) => sum + files, 0);
    const rows = all
      .slice(0, TYPES_SHOWN)
      .map(([label, { files, group, misnamed }]) => [
        label,
        group,
        counted(files),
        share(files, total),
        counted(misnamed),
      ]);
    const rest = all.slice(TYPES_SHOWN);
    const sum = (key: "files" | "misnamed") => rest.reduce((before, [, type]) => before + type[key], 0);
    if (rest.length > 0) {
      rows.push([
        `${counted(rest.length)} other types`,
        "",
        counted(sum("files")),
        share(sum("files"), total),
        counted(sum("misnamed")),
      ]);
    }
    const right = true;
    const columns = [
      { title: "type" },
      { title: "group" },
      { title: "files", right },
      { title: "share", right },
      { title: "misnamed", right },
    ];
    return tableLines(columns, rows, paint);
  }

  #count(index: number): void {
    if (index < 0 || index >= this.#seen.length) this.#foreign += 1;
    else this.#seen[index] = Math.min(2, (this.#seen[index] ?? 0) + 1);
  }
}

/** To the nearest one, so that the column adds up to about 100; what is there is never told as nothing. */
function share(files: number, total: number): string {
  const rounded = Math.round((files / total) * 100);
  return rounded === 0 ? "<1 %" : `${String(rounded)} %`;
}
