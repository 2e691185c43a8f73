/** What INPUT… means: texts, files, or files of JSON lines. Guessed from what is there, and said. */
import { stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { toUri } from "../services/protocol/dataset-uris.ts";
import { countOf } from "./amounts.ts";
import { CliError } from "./cli-error.ts";

export const INPUT_KINDS = ["items", "files", "lines"] as const;
export type InputKind = (typeof INPUT_KINDS)[number];

export interface Inputs {
  readonly kind: InputKind;
  /** Items: JSON texts. Files and lines: absolute paths and URIs. */
  readonly values: readonly string[];
  /** What was guessed, in a sentence; undefined when nothing was. */
  readonly guess?: string;
  /** Folders of this machine that a service must be allowed to read. */
  readonly folders: readonly string[];
}

type Looks = "folder" | "file" | "lines" | "address" | "path" | "text";

const LINES_ENDING = /\.(ndjson|jsonl|json)$/i;

/** Throws `CliError` when an input is missing, or when they do not agree and `as` does not say. */
export async function readInputs(
  inputs: readonly string[],
  as: InputKind | undefined,
  folder: string,
): Promise<Inputs> {
  if (inputs.length === 0) {
    throw new CliError("INPUT: found none; give texts, files, folders, s3:// addresses or files of JSON lines");
  }
  const looks = await Promise.all(inputs.map((input) => look(input, folder)));
  const kind = as ?? guess(inputs, looks);
  if (kind === "items") return { kind, values: inputs.map(itemText), folders: [], ...said(as, kind, inputs.length) };
  const missing = inputs.filter((_, at) => looks[at] === "path" || looks[at] === "text");
  if (missing.length > 0) {
    throw new CliError(
      `INPUT: ${missing.join(", ")} does not exist; check the path, or say --as items if it is a text`,
    );
  }
  const local = inputs.filter((_, at) => looks[at] !== "address").map((input) => resolve(folder, input));
  const values = inputs.map((input, at) => absolute(input, looks[at] ?? "text", folder));
  const folders = await Promise.all(local.map(async (path) => ((await isFolder(path)) ? path : dirname(path))));
  return { kind, values, folders: [...new Set(folders)], ...said(as, kind, inputs.length) };
}

async function look(input: string, folder: string): Promise<Looks> {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(input)) return "address";
  const found = await stat(resolve(folder, input)).catch(() => undefined);
  if (found?.isDirectory() === true) return "folder";
  if (found !== undefined) return LINES_ENDING.test(input) ? "lines" : "file";
  return /^(\.{0,2}\/|~)/.test(input) || (input.includes("/") && !/\s/.test(input)) ? "path" : "text";
}

function guess(inputs: readonly string[], looks: readonly Looks[]): InputKind {
  const kinds = looks.map((one, at) => kindOf(one, inputs[at] ?? ""));
  const distinct = new Set(kinds);
  const [kind] = distinct;
  if (distinct.size === 1 && kind !== undefined) return kind;
  const named = [...distinct].map((one) => `${inputs[kinds.indexOf(one)] ?? ""} looks like ${WORDS[one]}`);
  throw new CliError(
    `INPUT: ${named.join(", ")}; give one kind at a time, or say which with --as items, files or lines`,
  );
}

function kindOf(looks: Looks, input: string): InputKind {
  if (looks === "text") return "items";
  return looks === "lines" || (looks === "address" && LINES_ENDING.test(input)) ? "lines" : "files";
}

const WORDS = {
  items: "a text",
  files: "files",
  lines: "JSON lines",
} as const satisfies Record<InputKind, string>;

const MEANINGS = {
  items: "each is a text or a JSON value",
  files: "each file is an item",
  lines: "each line is an item",
} as const satisfies Record<InputKind, string>;

function said(as: InputKind | undefined, kind: InputKind, inputs: number): { readonly guess?: string } {
  if (as !== undefined) return {};
  const others = INPUT_KINDS.filter((other) => other !== kind).join(" or ");
  return { guess: `taking ${countOf(inputs, "input")} as ${kind}: ${MEANINGS[kind]} (--as ${others} says otherwise)` };
}

/** What is JSON is taken as it is; everything else is a text. */
function itemText(input: string): string {
  try {
    JSON.parse(input);
    return input;
  } catch {
    return JSON.stringify(input);
  }
}

function absolute(input: string, looks: Looks, folder: string): string {
  if (looks !== "address") return toUri(resolve(folder, input)) + (looks === "folder" ? "/" : "");
  try {
    return toUri(input);
  } catch (error) {
    throw new CliError(`INPUT: ${error instanceof Error ? error.message : String(error)}`, undefined, error);
  }
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}
