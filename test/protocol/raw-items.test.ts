import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { JsonFault, scanSubmission, sliceElements } from "../../services/protocol/raw-items.ts";
import { Problem } from "../../services/protocol/problems.ts";
import { parseSubmission } from "../../services/protocol/submission.parse.ts";

function itemsOf(text: string): string[] | undefined {
  const body = Buffer.from(text);
  const { elements } = scanSubmission(body);
  return elements && sliceElements(body, elements).map(String);
}

describe("the items of a body", () => {
  it.each([
    ['{"item_list":{"items":[1.0,1e2,-0]}}', ["1.0", "1e2", "-0"]],
    ['{"item_list":{"items":[123456789012345678901234567890]}}', ["123456789012345678901234567890"]],
    ['{"item_list":{"items":[{"a":1,"a":2}]}}', ['{"a":1,"a":2}']],
    ['{"item_list":{"items":["\\u0041\\ud800","é"]}}', ['"\\u0041\\ud800"', '"é"']],
    ['{"item_list":{"items":[ [1,\n2] ,\r\n{"a":\n"]"} ]}}', ["[1, 2]", '{"a": "]"}']],
    ['{"item_list":{"items":[]}}', []],
    ['{"\\u0069tem_list":{"\\u0069tems":[7]}}', ["7"]],
    ['{"item_list":{"items":[1],"items":[2,3]}}', ["2", "3"]],
    ['{"item_list":{"items":[1]},"item_list":{"items":[4]}}', ["4"]],
    ['{"item_list":{"items":[1]},"item_list":{}}', undefined],
    ['{"item_list":{"items":[1],"items":5}}', undefined],
    ['{"x":{"items":[1]},"item_list":{"y":{"items":[2]}}}', undefined],
    ['{"item_list":[{"items":[1]}]}', undefined],
    ['[{"item_list":{"items":[1]}}]', undefined],
  ])("of %s are its bytes", (text, items) => {
    expect(itemsOf(text)).toEqual(items);
  });

  it("are the values that JSON.parse finds, however the body is laid out", () => {
    const layout = fc.constantFrom(undefined, 1, "\t");
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.jsonValue(), layout, (items, config, indent) => {
        const text = JSON.stringify({ config, item_list: { items, batch_size: 1 }, z: [{ items: [0] }] }, null, indent);

        const found = itemsOf(text);

        expect(found?.map((item) => JSON.parse(item) as unknown)).toEqual(JSON.parse(JSON.stringify(items)));
        expect(found?.some((item) => /[\r\n]/.test(item))).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  it("are refused exactly where JSON.parse refuses", () => {
    const start = '{"item_list":{"items":[1,"a\\n",{"b":[true,null,-1.5e+3]}],"batch_size":2},"x":[]}';
    const characters = Array.from('{}[]",:\\0123456789.eE+-tfnul \n\u0001é');
    fc.assert(
      fc.property(fc.nat(start.length), fc.nat(2), fc.constantFrom(...characters), (at, cut, put) => {
        const text = start.slice(0, at) + put + start.slice(at + cut);
        let fault: unknown;
        try {
          scanSubmission(Buffer.from(text));
        } catch (error) {
          fault = error;
        }

        let wrong = false;
        try {
          JSON.parse(text);
        } catch {
          wrong = true;
        }
        expect(fault instanceof JsonFault, text).toBe(wrong);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("the parser of submissions", () => {
  it("throws nothing but problems, and never tells a payload", () => {
    const field = fc.constantFrom("workers", "config", "timeout", "labels", "item_list", "priority", "__proto__", "x");
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      fc.dictionary(field, fc.jsonValue()).map((value) => Buffer.from(JSON.stringify(value))),
      fc.jsonValue().map((items) => Buffer.from(JSON.stringify({ item_list: { items, batch_size: items } }))),
    );
    fc.assert(
      fc.property(body, (bytes) => {
        try {
          const { input } = parseSubmission(bytes);
          expect(input.kind === "item_list" ? input.items.length : input.paths.length).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(Problem);
          expect((error as Problem).message.length).toBeLessThan(20_000);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("quotes no value that it refuses", () => {
    const secret = "hunter2hunter2";
    const wrong = ["workers", "timeout", "attempts", "priority", "isolate", "item_list"];
    const values = Object.fromEntries(wrong.map((name) => [name, secret]));
    const body = Buffer.from(JSON.stringify({ ...values, labels: { a: [secret] }, config: secret }));

    let told = "";
    try {
      parseSubmission(body);
    } catch (error) {
      told = JSON.stringify(error);
    }

    expect(told).toContain("workers");
    expect(told).not.toContain(secret);
  });
});
