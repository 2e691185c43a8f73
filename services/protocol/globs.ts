/**
 * Globs as gobwas/glob reads them with separator `/` (contract of the predecessor), matched against a whole URI:
 *
 *     *        any characters but /            [abc] [a-z]  one character of these
 *     **       any characters                  [!abc] [!a-z]  one character not of these
 *     ?        one character but /             {one,two}    one of these patterns, which may nest
 *     \x       the character x itself
 *
 * A pattern is compiled into states that are all followed at once, so that no pattern makes matching slow: the time is at
 * most the length of the URI times that of the pattern.
 */

/** A pattern that does not compile. */
export class GlobInvalid extends Error {
  override readonly name = "GlobInvalid";
}

type Test = (code: number) => boolean;

/** A state: reads one character that passes `test`, then goes on at `next`; or forks without reading. */
type State =
  | { readonly kind: "read"; readonly test: Test; next: number }
  | { readonly kind: "fork"; readonly targets: number[] }
  | { readonly kind: "match" };

const SLASH = 0x2f;
const inSegment: Test = (code) => code !== SLASH;
const anything: Test = () => true;

/** Answers whether a text matches. Throws `GlobInvalid`, in a sentence with the position. */
export function compileGlob(pattern: string): (text: string) => boolean {
  const states = new GlobParser(pattern).parse();
  return (text) => run(states, text);
}

/**
 * Whether a URI passes: it matches an include (or there are none) and no exclude. A pattern that begins with `/` is one of
 * file paths. Throws `GlobInvalid`.
 */
export function compileFilter(includes: readonly string[], excludes: readonly string[]): (uri: string) => boolean {
  const compile = (pattern: string) => compileGlob(pattern.startsWith("/") ? `file://${pattern}` : pattern);
  const included = includes.map(compile);
  const excluded = excludes.map(compile);
  return (uri) =>
    (included.length === 0 || included.some((matches) => matches(uri))) && !excluded.some((matches) => matches(uri));
}

class GlobParser {
  readonly #characters: readonly string[];
  readonly #pattern: string;
  readonly #states: State[] = [];
  #at = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
    this.#characters = Array.from(pattern);
  }

  parse(): readonly State[] {
    this.#sequence(0);
    this.#states.push({ kind: "match" });
    return this.#states;
  }

  /** States of a sequence, up to the end, or to the `,` or `}` of the braces around it. */
  #sequence(depth: number): void {
    for (let found = this.#peek(); found !== undefined; found = this.#peek()) {
      if (depth > 0 && (found === "," || found === "}")) return;
      const position = this.#at;
      this.#at += 1;
      if (found === "*") this.#star();
      else if (found === "?") this.#read(inSegment);
      else if (found === "[") this.#read(this.#range(position));
      else if (found === "{") this.#alternatives(position, depth + 1);
      else this.#read(same(found === "\\" ? this.#escaped(position) : found));
    }
  }

  #peek(): string | undefined {
    return this.#characters[this.#at];
  }

  #read(test: Test): void {
    this.#states.push({ kind: "read", test, next: this.#states.length + 1 });
  }

  #star(): void {
    const twice = this.#peek() === "*";
    if (twice) this.#at += 1;
    const fork = this.#states.length;
    this.#states.push({ kind: "fork", targets: [fork + 1, fork + 2] });
    this.#states.push({ kind: "read", test: twice ? anything : inSegment, next: fork });
  }

  /** A fork to each alternative; each one's end jumps behind the last. */
  #alternatives(position: number, depth: number): void {
    const targets: number[] = [];
    const ends: number[][] = [];
    this.#states.push({ kind: "fork", targets });
    for (;;) {
      targets.push(this.#states.length);
      this.#sequence(depth);
      const end: number[] = [];
      ends.push(end);
      this.#states.push({ kind: "fork", targets: end });
      const found = this.#peek();
      if (found === undefined) throw this.#fault(position, `"{" is not closed by "}"`);
      this.#at += 1;
      if (found === "}") break;
    }
    for (const end of ends) end.push(this.#states.length);
  }

  #escaped(position: number): string {
    const found = this.#peek();
    if (found === undefined) throw this.#fault(position, `"\\" at the end escapes nothing`);
    this.#at += 1;
    return found;
  }

  /** After `[`: `!`, then characters and ranges, up to `]`. */
  #range(position: number): Test {
    const negated = this.#peek() === "!";
    if (negated) this.#at += 1;
    const tests: Test[] = [];
    for (;;) {
      const found = this.#peek();
      if (found === undefined) throw this.#fault(position, `"[" is not closed by "]"`);
      if (found === "]") break;
      const at = this.#at;
      const low = this.#member();
      const upper = this.#characters[this.#at + 1];
      if (this.#peek() !== "-" || upper === undefined || upper === "]") {
        tests.push(same(low));
        continue;
      }
      this.#at += 1;
      const [from, to] = [code(low), code(this.#member())];
      if (from > to) throw this.#fault(at, "the range runs backwards");
      tests.push((tested) => from <= tested && tested <= to);
    }
    this.#at += 1;
    if (tests.length === 0) throw this.#fault(position, "the character class is empty");
    return (tested) => tests.some((test) => test(tested)) !== negated;
  }

  #member(): string {
    const at = this.#at;
    const found = this.#peek() ?? "";
    this.#at += 1;
    return found === "\\" ? this.#escaped(at) : found;
  }

  #fault(position: number, why: string): GlobInvalid {
    return new GlobInvalid(
      `glob ${JSON.stringify(this.#pattern)}, character ${String(position + 1)}: ${why}; write "\\" before a character that stands for itself`,
    );
  }
}

function code(character: string): number {
  return character.codePointAt(0) ?? 0;
}

function same(character: string): Test {
  const wanted = code(character);
  return (tested) => tested === wanted;
}

/** Follows all states at once. `marks[s]` is the last step at which state s was entered. */
function run(states: readonly State[], text: string): boolean {
  const marks = new Int32Array(states.length).fill(-1);
  let current: number[] = [];
  const enter = (into: number[], first: number, step: number) => {
    const stack = [first];
    for (let state = stack.pop(); state !== undefined; state = stack.pop()) {
      if (marks[state] === step) continue;
      marks[state] = step;
      const found = states[state];
      if (found?.kind === "fork") stack.push(...found.targets);
      else into.push(state);
    }
  };
  enter(current, 0, 0);
  let step = 0;
  for (const character of text) {
    step += 1;
    const tested = code(character);
    const next: number[] = [];
    for (const state of current) {
      const found = states[state];
      if (found?.kind === "read" && found.test(tested)) enter(next, found.next, step);
    }
    if (next.length === 0) return false;
    current = next;
  }
  return current.some((state) => states[state]?.kind === "match");
}
