import fc from "fast-check";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { NASTY_NAMES } from "../support/nasty-names.ts";
import { fileUri, filePath, readableUri, toUri } from "../../services/protocol/dataset-uris.ts";

describe("toUri", () => {
  it.each([
    ["/data/in", "file:///data/in"],
    ["/data/in/", "file:///data/in/"],
    ["/data/./x/../in//", "file:///data/in/"],
    ["/a b/ö#?", "file:///a%20b/%C3%B6%23%3F"],
    ["file:///a b", "file:///a%20b"],
    ["file:///a%20b", "file:///a%20b"],
    ["file:///100%", "file:///100%25"],
    ["s3://bucket/a b", "s3://bucket/a b"],
    ["s3://bucket", "s3://bucket"],
    ["/", "file:///"],
  ])("reads %s as %s", (written, uri) => {
    expect(toUri(written)).toBe(uri);
  });

  it.each([
    ["", "it is empty"],
    ["data/in", "it is a relative path"],
    ["~/data", "~ is expanded by shells only"],
    ["http://x/y", "the scheme http is not supported"],
    ["file://x", "three slashes"],
    ["s3://", "the bucket is missing"],
    ["/a\ud800", "half a character"],
    ["file:///\udc00a", "half a character"],
    ["s3://bucket/\ud800", "half a character"],
  ])("refuses %j: %s", (written, why) => {
    expect(() => toUri(written)).toThrow(why);
  });
});

describe("fileUri", () => {
  it("is undone by filePath, and means the same to everybody else", () => {
    const path = fc.string({ unit: "grapheme", maxLength: 12 }).map((text) => `/${text.replace(/\0/g, "")}`);
    fc.assert(
      fc.property(
        path.filter((text) => text.isWellFormed()),
        (text) => {
          expect(filePath(fileUri(text))).toBe(text);
          // A URL parser resolves dots, a listing has none.
          if (!/(^|\/)\.{1,2}(\/|$)/.test(text)) expect(fileURLToPath(fileUri(text))).toBe(text);
        },
      ),
    );
  });

  it("is what any written path of names means, and no other path has it", () => {
    const name = fc
      .oneof(
        fc.string({ unit: "binary", maxLength: 8 }),
        fc.constantFrom(...NASTY_NAMES),
        fc.constantFrom("..a", "%2e", "%"),
      )
      .map((text) => text.replace(/[/\0]/g, ""))
      .filter((text) => text !== "" && text !== "." && text !== ".." && text.isWellFormed());
    const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => `/${names.join("/")}`);
    fc.assert(
      fc.property(path, path, (one, other) => {
        expect(filePath(toUri(one))).toBe(one);
        expect(toUri(toUri(one))).toBe(toUri(one));
        expect(toUri(one) === toUri(other)).toBe(one === other);
        expect(toUri(one)).toMatch(/^[!-~]+$/);
      }),
      { numRuns: 300 },
    );
  });

  it("is shown to people and globs without escapes", () => {
    expect(readableUri("file:///a%20b")).toBe("file:///a b");
    expect(readableUri("s3://b/a%20b")).toBe("s3://b/a%20b");
  });
});
