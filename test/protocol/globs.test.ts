import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileFilter, compileGlob, GlobInvalid } from "../../services/protocol/globs.ts";

/** A pattern as the oracle sees it: already parsed, matched by trying everything. */
type Piece =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "star" | "stars" | "one" }
  | { readonly kind: "class"; readonly members: string; readonly negated: boolean }
  | { readonly kind: "braces"; readonly options: readonly (readonly Piece[])[] };

function written(pieces: readonly Piece[]): string {
  return pieces
    .map((piece) => {
      if (piece.kind === "text") return piece.text.replace(/[*?[\]{},\\!-]/g, "\\$&");
      if (piece.kind === "class") return `[${piece.negated ? "!" : ""}${piece.members}]`;
      if (piece.kind === "braces") return `{${piece.options.map(written).join(",")}}`;
      return { star: "*", stars: "**", one: "?" }[piece.kind];
    })
    .join("");
}

function oracle(pieces: readonly Piece[], text: string): boolean {
  const [piece, ...rest] = pieces;
  if (piece === undefined) return text === "";
  if (piece.kind === "text") return text.startsWith(piece.text) && oracle(rest, text.slice(piece.text.length));
  if (piece.kind === "braces") return piece.options.some((option) => oracle([...option, ...rest], text));
  if (piece.kind === "one") return text !== "" && !text.startsWith("/") && oracle(rest, text.slice(1));
  if (piece.kind === "class") {
    return text !== "" && piece.members.includes(text.charAt(0)) !== piece.negated && oracle(rest, text.slice(1));
  }
  for (let taken = 0; taken <= text.length; taken++) {
    if (piece.kind === "star" && text.slice(0, taken).includes("/")) return false;
    if (oracle(rest, text.slice(taken))) return true;
  }
  return false;
}

const letters = fc.constantFrom("a", "b", "/", "*", "-", ",", "é");
const simple: fc.Arbitrary<Piece> = fc.oneof(
  fc.record({ kind: fc.constant("text" as const), text: letters }),
  fc.record({ kind: fc.constantFrom("star" as const, "stars" as const, "one" as const) }),
  fc.record({ kind: fc.constant("class" as const), members: fc.constantFrom("a", "ab", "b/"), negated: fc.boolean() }),
);
/** Two stars in a row would be read as one `**`. */
const apart = (pieces: Piece[]): Piece[] =>
  pieces.filter((piece, at) => !(piece.kind.startsWith("star") && pieces[at - 1]?.kind.startsWith("star")));
const sequence = fc.array(simple, { maxLength: 4 }).map(apart);
const braces: fc.Arbitrary<Piece> = fc.record({
  kind: fc.constant("braces" as const),
  options: fc.array(fc.array(fc.oneof(simple), { maxLength: 2 }).map(apart), { minLength: 1, maxLength: 3 }),
});
const pattern = fc.tuple(sequence, fc.option(braces), sequence).map(([first, middle, last]) => {
  // A star that ends one part must not meet one that begins the next, inside braces or after them.
  const separator: Piece = { kind: "text", text: "a" };
  return middle === null ? first : [...first, separator, middle, separator, ...last];
});

describe("compileGlob", () => {
  it("matches what trying everything matches", () => {
    const text = fc.array(letters, { maxLength: 8 }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(pattern, text, (pieces, candidate) => {
        expect(compileGlob(written(pieces))(candidate)).toBe(oracle(pieces, candidate));
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ["s3://b/*.png", "s3://b/x.png", true],
    ["s3://b/*.png", "s3://b/c/x.png", false],
    ["**.png", "s3://b/c/x.png", true],
    ["s3://b/img_[0-9].png", "s3://b/img_7.png", true],
    ["s3://b/img_[!a-c].png", "s3://b/img_b.png", false],
    ["s3://b/{one,t{w,h}o}/?", "s3://b/tho/x", true],
    ["s3://b/\\*", "s3://b/*", true],
    ["s3://b/x,y}", "s3://b/x,y}", true],
    ["[a\\]]", "]", true],
    ["?", "😀", true],
    ["", "", true],
  ])("%s on %s: %s", (glob, text, matches) => {
    expect(compileGlob(glob)(text)).toBe(matches);
  });

  it.each([
    ["a[bc", `glob "a[bc", character 2: "[" is not closed by "]"`],
    ["{a,b", `glob "{a,b", character 1: "{" is not closed by "}"`],
    ["a\\", `glob "a\\\\", character 2: "\\" at the end escapes nothing`],
    ["[]", `glob "[]", character 1: the character class is empty`],
    ["[z-a]", `glob "[z-a]", character 2: the range runs backwards`],
  ])("refuses %s with the position", (glob, message) => {
    expect(() => compileGlob(glob)).toThrow(GlobInvalid);
    expect(() => compileGlob(glob)).toThrow(message);
  });

  it("is not made slow by many stars", () => {
    expect(compileGlob("**a".repeat(60))("a".repeat(59) + "b".repeat(400))).toBe(false);
  });
});

describe("compileFilter", () => {
  it("passes what an include matches and no exclude, and a pattern of a path is one of a file", () => {
    const passes = compileFilter(["/data/**.json", "s3://b/**"], ["**/tmp/**"]);

    expect(passes("file:///data/x.json")).toBe(true);
    expect(passes("file:///data/x.csv")).toBe(false);
    expect(passes("s3://b/tmp/x")).toBe(false);
    expect(compileFilter([], [])("anything")).toBe(true);
  });
});
