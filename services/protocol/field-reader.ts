import { LIMITS } from "./limits.ts";
import { nearestWord } from "./nearest-word.ts";
import type { Fault } from "./problems.ts";

/** Stands in a decoded body where a whole number beyond 2^53 or a number beyond 1.8e308 stood: it would have been changed. */
export const UNSAFE_NUMBER: unique symbol = Symbol("unsafe number");

/** A field's name as it may stand in an error: never long, never with control characters. */
export function shownName(name: string): string {
  const plain = name.toWellFormed().replaceAll(/[\p{C}\p{Z}]/gu, "?");
  return plain.length > 64 ? `${plain.slice(0, 64)}…` : plain;
}

/** What kind of value stands there, in words; never the value. */
export function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (value === UNSAFE_NUMBER) return "a number that 64-bit floating point cannot hold";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "string") return value === "" ? "an empty text" : "a text";
  if (typeof value === "boolean") return "true or false";
  if (typeof value === "number") return Number.isInteger(value) ? "a whole number" : "a fraction";
  return "an object";
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

interface Range {
  readonly min: number;
  readonly max: number;
}

/** Reads fields of one decoded object strictly, and collects all that is wrong. Each reader gives undefined on a fault. */
export class FieldReader {
  readonly faults: Fault[];
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #path: string;

  constructor(fields: Readonly<Record<string, unknown>>, path: string, faults: Fault[]) {
    this.#fields = fields;
    this.#path = path;
    this.faults = faults;
  }

  pathOf(name: string): string {
    return this.#path === "" ? name : `${this.#path}.${name}`;
  }

  fault(name: string, found: string, fix: string): undefined {
    if (this.faults.length < LIMITS.faultsMax) this.faults.push({ field: this.pathOf(name), found, fix });
    return undefined;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#fields, name);
  }

  raw(name: string): unknown {
    return this.has(name) ? this.#fields[name] : undefined;
  }

  /** Names every field that is not known, with the nearest that is. */
  onlyKnown(known: readonly string[]): void {
    for (const name of Object.keys(this.#fields)) {
      if (this.faults.length >= LIMITS.faultsMax) return; // a body may have a million names, and each is compared
      if (known.includes(name)) continue;
      const nearest = nearestWord(name, known);
      const fix =
        nearest === undefined ? `remove it; known are ${known.join(", ")}` : `name it "${nearest}" or remove it`;
      this.fault(shownName(name), "a field that is not known", fix);
    }
  }

  integer(name: string, { min, max }: Range): number | undefined {
    const value = this.raw(name);
    const fix = `give a whole number from ${String(min)} to ${String(max)}`;
    if (typeof value !== "number" || !Number.isInteger(value)) return this.fault(name, kindOf(value), fix);
    if (value < min || value > max) return this.fault(name, belowOrAbove(value, { min, max }), fix);
    return value;
  }

  /** Seconds above 0. */
  seconds(name: string, max: number): number | undefined {
    const value = this.raw(name);
    const fix = `give seconds, more than 0 and at most ${String(max)}`;
    if (typeof value !== "number") return this.fault(name, kindOf(value), fix);
    if (value <= 0 || value > max) return this.fault(name, belowOrAbove(value, { min: Number.MIN_VALUE, max }), fix);
    return value;
  }

  boolean(name: string): boolean | undefined {
    const value = this.raw(name);
    return typeof value === "boolean" ? value : this.fault(name, kindOf(value), "give true or false (without quotes)");
  }

  text(name: string, charactersMax: number): string | undefined {
    const value = this.raw(name);
    const found = textFault(value, charactersMax);
    if (found === undefined) return value as string;
    return this.fault(name, found, `give a text of 1 to ${String(charactersMax)} characters`);
  }

  /** A list of non-empty texts. */
  texts(name: string, limits: { min: number; max: number; charactersMax: number }): readonly string[] | undefined {
    const value = this.raw(name);
    const fix = `give a list of ${String(limits.min)} to ${String(limits.max)} texts`;
    if (!Array.isArray(value)) return this.fault(name, kindOf(value), fix);
    if (value.length < limits.min) return this.fault(name, "an empty list", fix);
    if (value.length > limits.max) return this.fault(name, `${String(value.length)} entries`, fix);
    const entries: readonly unknown[] = value;
    const wrong = entries.findIndex((entry) => textFault(entry, limits.charactersMax) !== undefined);
    if (wrong === -1) return entries as readonly string[];
    const found = textFault(entries[wrong], limits.charactersMax) ?? "";
    const entryFix = `give a text of 1 to ${String(limits.charactersMax)} characters`;
    return this.fault(`${name}[${String(wrong)}]`, found, entryFix);
  }

  object(name: string, fix: string): Readonly<Record<string, unknown>> | undefined {
    const value = this.raw(name);
    return isObject(value) ? value : this.fault(name, kindOf(value), fix);
  }
}

function belowOrAbove(value: number, { min, max }: Range): string {
  if (value === 0) return "0";
  if (value < 0 && min >= 0) return "a number below 0";
  return value < min ? `a number below ${String(min)}` : `a number above ${String(max)}`;
}

/** What is wrong with a text; undefined: nothing. */
export function textFault(value: unknown, charactersMax: number): string | undefined {
  if (typeof value !== "string" || value === "") return kindOf(value);
  if (value.length > charactersMax) return `${String(value.length)} characters`;
  if (!value.isWellFormed()) return "half of a surrogate pair, which no UTF-8 can say";
  if (value.includes("\0")) return "a NUL character";
  return undefined;
}
