/** Colours of a terminal, and none elsewhere. */
import type { Sink } from "./cli.ts";

export type Colour = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";
export type Paint = (colour: Colour, text: string) => string;

const CODES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
} as const satisfies Record<Colour, readonly [number, number]>;

export const plain: Paint = (_, text) => text;

const coloured: Paint = (colour, text) => {
  const [on, off] = CODES[colour];
  return text === "" ? "" : `\x1b[${String(on)}m${text}\x1b[${String(off)}m`;
};

/** https://no-color.org: set and not empty means none, whatever its value. */
export function paintFor(sink: Sink, environment: Readonly<Record<string, string | undefined>>): Paint {
  const { NO_COLOR = "", TERM = "" } = environment;
  return sink.isTerminal && NO_COLOR === "" && TERM !== "dumb" ? coloured : plain;
}

/** What a text takes on the screen: without colour codes. */
export function visible(text: string): string {
  // eslint-disable-next-line no-control-regex -- escape sequences begin with a control character
  return text.replace(/\x1b\[\d+m/g, "");
}
