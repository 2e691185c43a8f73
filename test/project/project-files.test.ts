import { gzipSync } from "node:zlib";
import tar from "tar-stream";
import type { Header } from "tar-stream";
import { describe, expect, it } from "vitest";

import { packFiles, readArchive } from "../../services/project/project-files.ts";
import { LIMITS } from "../../services/protocol/limits.ts";
import { aProject } from "../support/project-folder.ts";

type TestEntry = Partial<Header> & { readonly name: string };

async function archiveOf(entries: readonly [TestEntry, string][]): Promise<Buffer> {
  const pack = tar.pack();
  for (const [header, text] of entries) pack.entry({ size: Buffer.byteLength(text), ...header }, text);
  pack.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of pack) chunks.push(chunk as Buffer);
  return gzipSync(Buffer.concat(chunks));
}

describe("readArchive", () => {
  it.each<[string, TestEntry, RegExp]>([
    ["a path upwards", { name: "../evil.py" }, /leads out of it/],
    ["a path upwards in its middle", { name: "a/../../evil.py" }, /leads out of it/],
    ["an absolute path", { name: "/etc/evil" }, /leads out of it/],
    ["a backslash", { name: "a\\..\\evil.py" }, /leads out of it/],
    [
      "a symbolic link",
      { name: "link", type: "symlink", linkname: "/etc", size: 0 },
      /is a symlink\. Only plain files/,
    ],
    ["a hard link", { name: "link", type: "link", linkname: "handler.py", size: 0 }, /is a link\. Only plain files/],
    ["a device", { name: "null", type: "character-device", size: 0 }, /is a character-device\. Only plain files/],
    ["a path twice", { name: "handler.py" }, /"handler\.py" twice/],
    ["a file that is a folder as well", { name: "handler.py/x" }, /as a file and as a folder/],
  ])("refuses %s", async (_what, header, message) => {
    const text = header.size === 0 ? "" : "x";
    const archive = await archiveOf([
      [{ name: "handler.py" }, "ok"],
      [header, text],
    ]);

    await expect(readArchive(archive)).rejects.toThrow(message);
  });

  it("refuses what is no gzip, no tar, or cut short", async () => {
    const archive = await packFiles(aProject({ "handler.py": "x = 1\n" }));

    await expect(readArchive(Buffer.from("hello"))).rejects.toThrow("does not read as gzip");
    await expect(readArchive(archive.subarray(0, archive.length - 20))).rejects.toThrow("does not read as gzip");
    await expect(readArchive(gzipSync(Buffer.alloc(700, "x")))).rejects.toThrow("does not read as tar");
  });

  it("refuses an archive that swells beyond the limit", async () => {
    const bomb = gzipSync(Buffer.alloc(100 * 1024 * 1024));
    const large = await archiveOf([[{ name: "large" }, "x".repeat(LIMITS.projectBytesMax + 1)]]);

    await expect(readArchive(bomb)).rejects.toThrow("unpacks to more than 32 MiB");
    await expect(readArchive(large)).rejects.toThrow("unpacks to more than 32 MiB");
  });
});
