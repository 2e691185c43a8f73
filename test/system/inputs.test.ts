import { rm, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { filePath } from "../../services/protocol/dataset-uris.ts";
import { ECHO, INIT, SystemUnderTest } from "../support/a-system.ts";
import { NASTY_NAMES } from "../support/nasty-names.ts";

/** Says how long each item is as JSON, so that large ones come back small. */
const LENGTHS = `
import json
class Handler:
${INIT}    def handle_batch(self, payload):
        return [len(item["text"]) for item in payload]
`;

/** Waits for the file that its config names before it takes the first batch. */
const WAITER = `
import os, time
class Handler:
    def __init__(self, config):
        self.go = config["go"]
    def handle_batch(self, payload):
        while not os.path.exists(self.go):
            time.sleep(0.02)
        return payload
`;

let system: SystemUnderTest;

beforeAll(async () => {
  system = await SystemUnderTest.start();
  for (const [api, source] of Object.entries({ echo: ECHO, lengths: LENGTHS, waiter: WAITER })) {
    expect((await system.deploy(api, source)).status).toBe(201);
  }
});

afterEach(() => system.proveAll());
afterAll(() => system.end());

describe("what is wrong with an input is said at the door", () => {
  const refusedPaths = (paths: readonly string[], more: object = {}) =>
    system.refused("echo", { delimited_files: { paths, ...more } });

  it("when a path lies outside the allowed folders", async () => {
    const problem = await refusedPaths([join(system.folder, "root")]);

    expect(problem).toMatchObject({ status: 403, code: "source_outside_roots" });
    expect(problem.detail).toContain("delimited_files.paths[0]");
    expect(problem.detail).toContain("--allow");
  });

  it("when a link leads outside the allowed folders", async () => {
    await symlink(system.service.root, join(system.inputs, "out"));

    expect(await refusedPaths([join(system.inputs, "out/")])).toMatchObject({ code: "source_outside_roots" });
  });

  it("when a path leads to nothing", async () => {
    const problem = await refusedPaths([join(system.inputs, "nowhere")]);

    expect(problem.status).toBe(400);
    expect(["source_missing", "source_no_match"]).toContain(problem.code);
    expect(problem.detail).toContain("nowhere");
  });

  it("when nothing matches", async () => {
    await system.write("some/a.json", "1\n");
    const problem = await refusedPaths([join(system.inputs, "some")], { includes: ["**.csv"] });

    expect(problem).toMatchObject({ status: 400, code: "source_no_match" });
    expect(problem.detail).toContain("none of the 1 objects");
  });

  it("when a pattern does not compile", async () => {
    const problem = await refusedPaths([system.inputs], { includes: ["**.json", "[a-"] });

    expect(problem).toMatchObject({ status: 400, code: "source_bad_glob" });
    expect(problem.detail).toContain('delimited_files: glob "[a-", character 1');
  });

  it.each([
    ["no items", { item_list: { items: [], batch_size: 1 } }, "item_list.items"],
    ["no paths", { file_path_lister: { paths: [] } }, "file_path_lister.paths"],
    ["a batch size of zero", { item_list: { items: [1], batch_size: 0 } }, "item_list.batch_size"],
    ["negative workers", { workers: -1, item_list: { items: [1] } }, "workers"],
    ["two inputs", { item_list: { items: [1] }, delimited_files: { paths: ["/x"] } }, "exactly one"],
    ["a misspelt field", { itemlist: { items: [1] } }, "itemlist"],
  ])("when there are %s", async (_, body, named) => {
    const problem = await system.refused("echo", body);

    expect(problem).toMatchObject({ status: 400, code: "invalid_body" });
    expect(problem.detail).toContain(named);
  });
});

describe("items that are no JSON", () => {
  it("fail with their file and bytes, and their neighbours succeed", async () => {
    const broken = Buffer.concat([Buffer.from('"ok"\n"'), Buffer.from([0xc3, 0x28]), Buffer.from('"\n3\n')]);
    const first = await system.write("lines/a.ndjson", '{"n": 1}\nthis is no JSON\n{"n": 3}\n');
    const second = await system.write("lines/b.ndjson", broken);
    const delimited_files = { paths: [join(system.inputs, "lines")], batch_size: 10 };
    const job = await system.run("echo", { workers: 1, attempts: 1, delimited_files });
    const errors = await system.errors(job);

    expect(job).toMatchObject({ state: "completed_with_failures", items: { total: 6, succeeded: 4, failed: 2 } });
    expect(await system.results(job)).toEqual([
      { index: 0, result: { n: 1 } },
      { index: 2, result: { n: 3 } },
      { index: 3, result: "ok" },
      { index: 5, result: 3 },
    ]);
    expect(errors).toMatchObject([
      { index: 1, cause: "bad_item", at: { uri: `file://${first}`, start: 9, end: 24 } },
      { index: 4, cause: "bad_item", at: { uri: `file://${second}`, start: 5, end: 9 } },
    ]);
    expect(errors[0]?.error).toContain("bytes 9 to 24");
  });
});

describe("input of any size and shape", () => {
  it("takes an item of 100 MB, and its neighbours", async () => {
    const long = Buffer.concat([Buffer.from('{"text": "'), Buffer.alloc(100_000_000, "x"), Buffer.from('"}\n')]);
    const small = Buffer.from('{"text": "abc"}\n');
    const path = await system.write("long.ndjson", Buffer.concat([small, long, small]));
    const delimited_files = { paths: [path], batch_size: 1 };
    const job = await system.run("lengths", { workers: 1, delimited_files }, 60);

    expect(job.state).toBe("succeeded");
    expect((await system.results(job)).map(({ result }) => result)).toEqual([3, 100_000_000, 3]);
    await rm(path);
  });

  it("answers results in input order, whatever batches span several files", async () => {
    const count = 40;
    for (let file = 0; file < 5; file += 1) {
      const lines = Array.from({ length: count }, (_, at) => `${String(file * count + at)}\n`);
      await system.write(`ordered/part-${String(file)}.ndjson`, lines.join(""));
    }
    const delimited_files = { paths: [join(system.inputs, "ordered")], batch_size: 7 };
    const job = await system.run("echo", { workers: 2, delimited_files });
    const results = await system.results(job);

    expect(job).toMatchObject({ state: "succeeded", batches: { total: 29 }, items: { total: 200, succeeded: 200 } });
    expect(results).toEqual(Array.from({ length: 200 }, (_, index) => ({ index, result: index })));
  });

  it("lists files as items", async () => {
    const paths = await Promise.all(["b.txt", "a.txt", "c.md"].map((name) => system.write(`files/${name}`, "x")));
    const file_path_lister = { paths: [join(system.inputs, "files")], includes: ["**.txt"], batch_size: 1 };
    const job = await system.run("echo", { workers: 1, file_path_lister });

    expect((await system.results(job)).map(({ result }) => result)).toEqual([`file://${String(paths[1])}`, `file://${String(paths[0])}`]); // prettier-ignore
  });
});

describe("files with every nasty character in their names", () => {
  beforeAll(async () => {
    for (const name of NASTY_NAMES) await system.write(`nasty/${name}`, `${JSON.stringify(name)}\nnone of JSON`);
  });

  it("come through list, pointer and payload, and errors name them", async () => {
    const delimited_files = { paths: [join(system.inputs, "nasty")], batch_size: 3 };
    const job = await system.run("echo", { workers: 2, attempts: 1, delimited_files });
    const results = await system.results(job);
    const errors = await system.errors(job);

    expect(results.map(({ result }) => result).sort()).toEqual([...NASTY_NAMES].sort());
    const named = errors.map(({ at }) => filePath(at.uri)?.slice(join(system.inputs, "nasty/").length));
    expect(named.sort()).toEqual([...NASTY_NAMES].sort());
    expect(job.items).toMatchObject({ succeeded: NASTY_NAMES.length, failed: NASTY_NAMES.length });
  });

  it("are items under addresses that lead back to them, and patterns choose them as they are written", async () => {
    const folder = join(system.inputs, "nasty");
    const lister = (more: object) => ({ file_path_lister: { paths: [folder], batch_size: 7, ...more } });
    const all = await system.results(await system.run("echo", { workers: 2, ...lister({}) }));
    const includes = ["line\nbreak", "100%", "%2F", "hash#fragment", "😀", "back\\\\slash"].map((name) => `**/${name}`);
    const some = await system.results(await system.run("echo", { workers: 1, ...lister({ includes }) }));

    const names = (rows: typeof all) => rows.map(({ result }) => filePath(String(result))?.slice(folder.length + 1));
    expect(names(all).sort()).toEqual([...NASTY_NAMES].sort());
    expect(names(some).sort()).toEqual(["line\nbreak", "100%", "%2F", "hash#fragment", "😀", "back\\slash"].sort());
  });

  it("are refused where no address can name them, with the fix and before anything runs", async () => {
    const folder = join(system.inputs, "latin1");
    await system.write("latin1/good", "1\n");
    await writeFile(Buffer.concat([Buffer.from(`${folder}/b`), Buffer.from([0xe4]), Buffer.from("d")]), "2\n");

    const problem = await system.refused("echo", { delimited_files: { paths: [folder] } });

    expect(problem).toMatchObject({ status: 400, code: "source_bad_path" });
    expect(problem.detail).toMatch(/holds "b\uFFFDd", which is not UTF-8.*rename it, or move it/);
  });
});

describe("input that changes while its job runs", () => {
  /** A job of two batches that waits before the first, while its input is changed. */
  const whileChanged = async (name: string, change: (path: string) => Promise<unknown>) => {
    const path = await system.write(`${name}.ndjson`, '"one"\n"two"\n');
    const go = join(system.folder, `${name}.go`);
    const delimited_files = { paths: [path], batch_size: 1 };
    const job = await system.submit("waiter", { workers: 1, attempts: 2, config: { go }, delimited_files });
    await system.when(job, ({ batches, workers }) => batches.complete && workers.ready === 1);
    await change(path);
    await system.write(`../${name}.go`, "");
    const ended = await system.ended(job);
    return { job: ended, errors: await system.errors(ended) };
  };

  it.each<[string, (path: string) => Promise<unknown>]>([
    ["rewritten", () => system.write("rewritten.ndjson", '"One"\n"Two"\n"Three"\n')],
    ["truncated", (path) => truncate(path, 3)],
    ["removed", (path) => rm(path)],
  ])("fails loudly what was not read yet: %s", async (name, change) => {
    const { job, errors } = await whileChanged(name, change);

    expect(job.state).toBe("completed_with_failures");
    expect(job.items.failed).toBeGreaterThanOrEqual(1);
    expect(errors.at(-1)?.cause).toMatch(/^input_(changed|missing)$/);
    expect(errors.at(-1)?.error).toContain(`${name}.ndjson`);
  });
});
