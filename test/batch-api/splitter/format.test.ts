import { describe, expect, it } from "vitest";
import { formatOf } from "../../../services/batch-api/splitter/format.ts";

describe("formatOf", () => {
  it.each([
    ['{"a":1}\n{"a":2}\n', "lines"],
    ['{"a":1}', "lines"],
    ["", "lines"],
    [" \n\t\n", "lines"],
    ['\ufeff\n{"a":1}\n', "lines"],
    ["[1]\n[2]\n", "lines"],
    ["[1]\n", "array"],
    ["[1,\n2]", "array"],
    ['  [\n{"a":1}\n]', "array"],
    ['{\n"a": 1\n}\n{\n"a": 2\n}', "concatenated"],
    ['{"a":1}{"a":2}', "concatenated"],
    ['{"a":1} {"a":2}\n{"a":3}', "concatenated"],
    ["1 2 3\n", "concatenated"],
    ["not json\n[1]\n", "lines"],
    ['{"a": tru\n{"a":2}\n', "lines"],
    ['{"a":\n{"a":2}\n', "lines"],
    ['"open\n"x"\n', "lines"],
    ["[1}\n[2]\n", "lines"],
  ])("%j is %s", (head, format) => {
    expect(formatOf(Buffer.from(head), true)).toBe(format);
  });

  it.each([
    ['{"a":"xxxx', "lines"],
    ["[1,2,", "array"],
    ['{"a":1}{"a":2}{"', "concatenated"],
    ['{"a":1', "lines"],
  ])("the beginning %j of a longer object is %s", (head, format) => {
    expect(formatOf(Buffer.from(head), false)).toBe(format);
  });
});
