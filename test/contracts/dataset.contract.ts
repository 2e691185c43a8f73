/** What every `Dataset` must do, sentence by sentence of its docstrings. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Dataset, DatasetObject } from "../../services/backends/dataset.ts";
import { NASTY_NAMES } from "../support/nasty-names.ts";

export interface DatasetFixture {
  readonly dataset: Dataset;
  /** Names with such a character are refused; default: there are none. */
  readonly lost?: RegExp;
  /** URI of a path under the fixture's own folder. */
  uri(path: string): string;
  write(path: string, content: string): Promise<void>;
  remove(path: string): Promise<void>;
  close(): Promise<void>;
}

async function all(dataset: Dataset, prefix: string, after?: string): Promise<DatasetObject[]> {
  const objects: DatasetObject[] = [];
  for await (const page of dataset.list(prefix, after === undefined ? {} : { after })) objects.push(...page);
  return objects;
}

export function describeDataset(name: string, open: () => Promise<DatasetFixture>): void {
  describe(`${name} as a dataset`, () => {
    let fixture: DatasetFixture;
    const uris = async (prefix: string, after?: string) =>
      (await all(fixture.dataset, fixture.uri(prefix), after === undefined ? undefined : fixture.uri(after))).map(
        ({ uri }) => uri,
      );
    const fault = (read: Promise<unknown>) =>
      read.then(
        () => "none",
        (error: unknown) => (error as { fault?: string }).fault,
      );

    beforeEach(async () => {
      fixture = await open();
      for (const path of ["img_1", "img_10.png", "img_2", "a/x", "a.txt", "a/b/y", "a-b", "ä ö", "a/z%20"]) {
        await fixture.write(path, `content of ${path}`);
      }
    });
    afterEach(() => fixture.close());

    it("lists what starts with a prefix, in byte order of the URIs", async () => {
      expect(await uris("img_1")).toEqual([fixture.uri("img_1"), fixture.uri("img_10.png")]);
      expect(await uris("a/")).toEqual(["a/b/y", "a/x", "a/z%20"].map((path) => fixture.uri(path)));
    });

    it("lists all, names with blanks, percent signs and letters of any language included", async () => {
      const wanted = ["a-b", "a.txt", "a/b/y", "a/x", "a/z%20", "img_1", "img_10.png", "img_2", "ä ö"].map((path) =>
        fixture.uri(path),
      );

      expect([...(await uris(""))].sort()).toEqual([...wanted].sort());
      expect(await uris("")).toEqual([...wanted].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
    });

    it("lists and reads names with every nasty character, each under a URI of its own", async () => {
      const names = NASTY_NAMES.filter((name) => fixture.lost?.test(name) !== true);
      for (const name of names) await fixture.write(`n/${name}`, name);
      const found = await all(fixture.dataset, fixture.uri("n/"));

      expect(found.map(({ uri }) => uri).sort()).toEqual(names.map((name) => fixture.uri(`n/${name}`)).sort());
      const read = found.map(({ uri, etag, sizeBytes }) =>
        fixture.dataset.read(uri, { start: 0, end: sizeBytes }, etag),
      );
      expect((await Promise.all(read)).map(String).sort()).toEqual([...names].sort());
      for (const name of names) expect(await uris(`n/${name}`)).toContain(fixture.uri(`n/${name}`));
    });

    it("refuses a name that cannot be told apart from others, in a sentence with the fix", async () => {
      const { lost } = fixture;
      for (const name of NASTY_NAMES.filter((one) => lost?.test(one) === true)) {
        await fixture.write(`n/${name}`, name);

        await expect(uris("n/"), JSON.stringify(name)).rejects.toMatchObject({ fault: "unsupported", message: expect.stringMatching(/rename/) as string }); // prettier-ignore
        await fixture.remove(`n/${name}`);
      }
      expect(await uris("n")).toEqual([]);
    });

    it("goes on behind any URI already seen", async () => {
      const whole = await uris("");

      for (const [index, uri] of whole.entries()) {
        const rest = await all(fixture.dataset, fixture.uri(""), uri);
        expect(rest.map((object) => object.uri)).toEqual(whole.slice(index + 1));
      }
    });

    it("lists nothing where nothing matches", async () => {
      expect(await uris("nothing")).toEqual([]);
    });

    it("reads any range of what it listed, into a given buffer or its own", async () => {
      const [object] = await all(fixture.dataset, fixture.uri("a/x"));
      if (object === undefined) throw new Error("not listed");

      expect(object.sizeBytes).toBe(14);
      expect((await fixture.dataset.read(object.uri, { start: 0, end: 14 }, object.etag)).toString()).toBe(
        "content of a/x",
      );
      expect(
        (await fixture.dataset.read(object.uri, { start: 8, end: 10 }, object.etag, Buffer.alloc(20))).toString(),
      ).toBe("of");
    });

    it("reads every object under the URI that it listed", async () => {
      for (const { uri, etag, sizeBytes } of await all(fixture.dataset, fixture.uri(""))) {
        expect((await fixture.dataset.read(uri, { start: 0, end: sizeBytes }, etag)).toString()).toMatch(
          /^content of /,
        );
      }
    });

    it("says that an object changed, when its bytes did", async () => {
      const [object] = await all(fixture.dataset, fixture.uri("a/x"));
      if (object === undefined) throw new Error("not listed");
      await fixture.write("a/x", "CONTENT of a/x");

      expect(await fault(fixture.dataset.read(object.uri, { start: 0, end: 4 }, object.etag))).toBe("changed");
    });

    it("says that an object is missing", async () => {
      const [object] = await all(fixture.dataset, fixture.uri("a/x"));
      if (object === undefined) throw new Error("not listed");
      await fixture.remove("a/x");

      expect(await fault(fixture.dataset.read(object.uri, { start: 0, end: 4 }, object.etag))).toBe("missing");
    });
  });
}
