import { describe, expect, it } from "vitest";
import { aSubmission } from "../../support/builders.ts";
import { aDataset, aService } from "./support.ts";

const ANN = { principal: "ann" };
const uris = ["file:///d/a.txt", "file:///d/b.png", "file:///d/sub/c%20d.txt"];

function lister(over: { paths?: readonly string[]; includes?: readonly string[]; excludes?: readonly string[] }) {
  const input = {
    kind: "file_path_lister",
    paths: ["/d/"],
    includes: [],
    excludes: [],
    batchSize: 2,
    ...over,
  } as const;
  return aSubmission({ input });
}

async function withDataset(denied: readonly string[] = []) {
  return (await aService({ dataset: aDataset(uris, denied) })).jobs;
}

describe("sources at acceptance", () => {
  it("keeps the paths as URIs", async () => {
    const jobs = await withDataset();

    const { spec } = await jobs.submit("digits", lister({ paths: ["/d/./sub/", "file:///d/a"] }), ANN);

    expect(spec.input).toMatchObject({ kind: "file_path_lister", paths: ["file:///d/sub/", "file:///d/a"] });
  });

  it("names each path that is none", async () => {
    const jobs = await withDataset();

    await expect(jobs.submit("digits", lister({ paths: ["/d/", "d", "ftp://x/"] }), ANN)).rejects.toMatchObject({
      code: "source_bad_path",
      message: expect.stringMatching(/paths\[1\].*relative.*paths\[2\].*ftp/s) as string,
    });
  });

  it("names a path whose grant is missing, though another one matches", async () => {
    const jobs = await withDataset(["file:///secret/"]);

    await expect(jobs.submit("digits", lister({ paths: ["/d/", "/secret/"] }), ANN)).rejects.toMatchObject({
      code: "source_denied",
      message: expect.stringContaining("file_path_lister.paths[1]: file:///secret/") as string,
    });
  });

  it("says that nothing lies there, or that nothing passes the patterns", async () => {
    const jobs = await withDataset();

    await expect(jobs.submit("digits", lister({ paths: ["/none/"] }), ANN)).rejects.toThrow(
      /nothing lies under "\/none\/"/,
    );
    await expect(jobs.submit("digits", lister({ includes: ["**.gif"] }), ANN)).rejects.toThrow(/none of the 3 objects/);
  });

  it("says which pattern does not compile", async () => {
    const jobs = await withDataset();

    await expect(jobs.submit("digits", lister({ includes: ["["] }), ANN)).rejects.toMatchObject({
      code: "source_bad_glob",
    });
  });

  it("tells in a dry run what would be read", async () => {
    const jobs = await withDataset();

    const answer = await jobs.dryRun("digits", lister({ excludes: ["**.png"] }));

    expect(answer).toEqual({ uris: [uris[0], uris[2]], objects: 2 });
    expect(await jobs.dryRun("digits", aSubmission())).toEqual({ uris: [], objects: 0 });
  });
});
