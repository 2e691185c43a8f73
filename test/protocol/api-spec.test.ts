import { describe, expect, it } from "vitest";

import { parseMillraceSpec } from "../../services/protocol/api-spec.parse.ts";
import { nearestWord } from "../../services/protocol/nearest-word.ts";
import { faultSentence } from "../../services/protocol/problems.ts";

const MINIMAL = { name: "word-count", handler: { path: "handler.py" } };

function sentences(value: unknown): string[] {
  const parsed = parseMillraceSpec(value);
  return parsed.kind === "faults" ? parsed.faults.map(faultSentence) : [];
}

describe("parseMillraceSpec", () => {
  it("fills in every default", () => {
    expect(parseMillraceSpec(MINIMAL)).toEqual({
      kind: "spec",
      warnings: [],
      spec: {
        name: "word-count",
        handler: {
          kind: "python",
          path: "handler.py",
          python_path: null,
          processes: 1,
          log_level: "info",
          dependencies: { pip: "requirements.txt", conda: "conda-packages.txt", shell: "dependencies.sh" },
        },
        compute: { cpu: null, mem: null, gpu: 0 },
        config: {},
        env: {},
        workers: 1,
        batch_size: 32,
        attempts: 3,
        isolate: true,
        batch_timeout_seconds: null,
        cortex_dialect: "0.42",
        cortex_project: false,
      },
    });
  });

  it("takes every field", () => {
    const parsed = parseMillraceSpec({
      name: "a",
      kind: "BatchAPI",
      handler: {
        type: "python",
        path: "./src/handler.py",
        python_path: "src/",
        processes: 2,
        log_level: "debug",
        dependencies: { pip: "reqs/cpu.txt", conda: "conda.txt", shell: "install.sh" },
      },
      compute: { cpu: 1.5, mem: "2Gi", gpu: 1 },
      config: { model: { name: "x" } },
      env: { MODE: "fast" },
      workers: 4,
      batch_size: 8,
      attempts: 1,
      isolate: false,
      batch_timeout: 60,
      cortex_dialect: 0.2,
    });

    expect(parsed).toMatchObject({
      kind: "spec",
      spec: {
        handler: { path: "src/handler.py", python_path: "src", processes: 2, log_level: "debug" },
        compute: { cpu: "1.5", mem: "2Gi", gpu: 1 },
        config: { model: { name: "x" } },
        env: { MODE: "fast" },
        workers: 4,
        batch_size: 8,
        attempts: 1,
        isolate: false,
        batch_timeout_seconds: 60,
        cortex_dialect: "0.20",
      },
    });
  });

  it("tells all faults at once, by the names of the file, without values of env", () => {
    expect(
      sentences({
        name: "Word_Count",
        kind: "RealtimeAPI",
        handler: { typ: "python", path: "../handler.py", log_level: "warn", processes: 0 },
        compute: { cpu: "lots", mem: "4GB", gpu: -1, memory: "1Gi" },
        config: [],
        env: { TOKEN: 12345, "a-b": "x", CORTEX_X: "y" },
        batchSize: 10,
        attempts: 31,
        isolate: "no",
        cortex_dialect: "1.0",
      }).join("\n"),
    ).toMatchInlineSnapshot(`
      "name: found characters that no API name has; use a-z, 0-9 and "-", begin with a letter (but not with "b-"), end with a letter or digit.
      kind: found "RealtimeAPI"; write BatchAPI.
      handler.path: found "../handler.py"; give a path inside the project, with "/" between folders.
      handler.processes: found 0; write a whole number from 1 to 256.
      handler.log_level: found "warn"; write one of debug, info, warning, error.
      handler.typ: found an unknown field; write type instead, or remove it.
      compute.cpu: found "lots"; write a number of CPUs like 2, 0.5 or 500m.
      compute.mem: found "4GB"; write an amount of memory like 512Mi or 4Gi.
      compute.gpu: found -1; write a whole number from 0 to 64.
      compute.memory: found an unknown field; write one of cpu, mem, gpu, or remove it.
      env.TOKEN: found something that is no text; put the value in quotes.
      env.a-b: found a name that no environment variable has; use letters, digits and _, no digit first.
      env.CORTEX_X: found a name of the service's own; choose one that starts neither with CORTEX_ nor with MILLRACE_.
      config: found a list of 0; write named fields.
      attempts: found 31; write a whole number from 1 to 30.
      isolate: found "no"; write true or false.
      cortex_dialect: found "1.0"; write a version of Cortex from "0.19" to "0.42".
      batchSize: found an unknown field; write batch_size instead, or remove it."
    `);
  });

  it.each([
    [{ handler: { path: "handler.py" } }, "name: found nothing; give the API a name, like word-count."],
    [{ name: "a" }, "handler.path: found nothing; name the Python file that holds the handler class, like handler.py."],
    [{ name: 7, handler: { path: "h.py" } }, "name: found 7; put it in quotes."],
    [{ name: "a", handler: { path: "h.txt" } }, 'handler.path: found "h.txt"; name a .py file.'],
    [
      { name: "a", handler: { path: "/h.py" } },
      'handler.path: found "/h.py"; give a path inside the project, with "/" between folders.',
    ],
    [{ name: "a", handler: [] }, "handler: found a list of 0; write named fields."],
    [null, ": found nothing; write named fields."],
    [
      { name: "health", handler: { path: "h.py" } },
      `name: found "health", a word of the service's own addresses; choose another.`,
    ],
  ])("refuses %j", (value, sentence) => {
    expect(sentences(value)).toContain(sentence);
  });

  it.each([
    ["a".repeat(42), 0],
    ["a".repeat(43), 1],
    ["a-1", 0],
    ["a-", 1],
    ["1a", 1],
    ["a.b", 1],
  ])("judges the name %s", (name, faults) => {
    expect(sentences({ ...MINIMAL, name })).toHaveLength(faults);
  });

  it.each([
    ["workers", 1, 10_000],
    ["batch_size", 1, 1_000_000],
    ["attempts", 1, 30],
    ["batch_timeout", 1, 604_800],
  ])("holds %s between its limits", (field, min, max) => {
    expect(sentences({ ...MINIMAL, [field]: min })).toEqual([]);
    expect(sentences({ ...MINIMAL, [field]: max })).toEqual([]);
    expect(sentences({ ...MINIMAL, [field]: min - 1 })).toHaveLength(1);
    expect(sentences({ ...MINIMAL, [field]: max + 1 })).toHaveLength(1);
    expect(sentences({ ...MINIMAL, [field]: 1.5 })).toHaveLength(1);
  });
});

describe("nearest", () => {
  it.each([
    ["batchSize", "batch_size"],
    ["worker", "workers"],
    ["atempts", "attempts"],
    ["zzzzzz", undefined],
  ])("finds what %s was meant to be", (wrong, meant) => {
    expect(nearestWord(wrong, ["batch_size", "workers", "attempts", "env"])).toBe(meant);
  });
});
