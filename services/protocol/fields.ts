/**
 * Reads the fields of a value that came from outside (YAML, JSON), strictly, and gathers every fault instead of throwing at
 * the first. A name counts as known once it was asked for, so what nobody asked for is unknown.
 */
import { nearestWord } from "./nearest-word.ts";
import type { Fault } from "./problems.ts";

export interface IntegerRange {
  readonly min: number;
  readonly max: number;
}

/** The fields of one object. Faults of all objects of a value go to one list. */
export class Fields {
  readonly path: string;
  readonly faults: Fault[];
  readonly #values: ReadonlyMap<string, unknown>;
  readonly #asked: string[] = [];

  constructor(value: unknown, path: string, faults: Fault[]) {
    this.path = path;
    this.faults = faults;
    this.#values = new Map(isRecord(value) ? Object.entries(value) : []);
    if (!isRecord(value)) this.fault("", found(value), "write named fields");
  }

  /** The value as it is; undefined when absent or null (an empty YAML field is null). */
  raw(name: string): unknown {
    if (!this.#asked.includes(name)) this.#asked.push(name);
    return this.#values.get(name) ?? undefined;
  }

  /** Notes a fault: what stands there, and what to do instead. */
  fault(name: string, found: string, fix: string): void {
    this.faults.push({ field: joined(this.path, name), found, fix });
  }

  text(name: string): string | undefined {
    const value = this.raw(name);
    if (value === undefined || (typeof value === "string" && value !== "")) return value;
    const quotable = typeof value === "number" || typeof value === "boolean";
    return this.#wrong(name, value, quotable ? "put it in quotes" : "write a text");
  }

  integer(name: string, { min, max }: IntegerRange): number | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
    return this.#wrong(name, value, `write a whole number from ${String(min)} to ${String(max)}`);
  }

  boolean(name: string): boolean | undefined {
    const value = this.raw(name);
    if (value === undefined || typeof value === "boolean") return value;
    return this.#wrong(name, value, "write true or false");
  }

  oneOf<const T extends string>(name: string, values: readonly T[]): T | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    const match = values.find((candidate) => candidate === value);
    if (match !== undefined) return match;
    return this.#wrong(name, value, `write ${choice(value, values)}`);
  }

  /** Free names and values, as `config` has. */
  record(name: string): Readonly<Record<string, unknown>> | undefined {
    const value = this.raw(name);
    if (value === undefined || isRecord(value)) return value;
    return this.#wrong(name, value, "write named fields");
  }

  /** The fields of a nested object; of an absent one there are none. */
  object(name: string): Fields {
    return new Fields(this.raw(name) ?? {}, joined(this.path, name), this.faults);
  }

  /** Call last: every field that was not asked for is a fault. */
  end(): void {
    for (const name of this.#values.keys()) {
      if (this.#asked.includes(name)) continue;
      this.fault(name, "an unknown field", `write ${choice(name, this.#asked)}, or remove it`);
    }
  }

  #wrong(name: string, value: unknown, fix: string): undefined {
    this.fault(name, found(value), fix);
    return undefined;
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Says what a value is, without more of it than a reader needs to find it again. */
export function found(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return `a list of ${String(value.length)}`;
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return "named fields";
}

/** The nearest of the known words, else all of them. */
function choice(value: unknown, known: readonly string[]): string {
  const near = typeof value === "string" ? nearestWord(value, known) : undefined;
  if (near !== undefined) return `${near} instead`;
  return known.length === 1 ? (known[0] ?? "") : `one of ${known.join(", ")}`;
}

function joined(path: string, name: string): string {
  if (path === "" || name === "") return path + name;
  return `${path}.${name}`;
}
