import { chmod, mkdtemp, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { packProject } from "../../services/project/project-folder.ts";
import { LIMITS } from "../../services/protocol/limits.ts";
import { writeProject } from "../support/project-folder.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-archive-"));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const HOME = "/nobody-s-home";
const PROJECT = { "millrace.yaml": "name: a\n", "handler.py": "x = 1\n", "lib/words.py": "y = 2\n" };

async function packedPaths(texts: Readonly<Record<string, string>>): Promise<string[]> {
  await writeProject(folder, texts);
  return [...(await packProject(folder, HOME)).files.keys()];
}

describe("packProject", () => {
  it("gives the same bytes whenever, wherever and by whomever it is packed", async () => {
    const other = await mkdtemp(join(tmpdir(), "millrace-archive-"));
    await writeProject(folder, PROJECT);
    await writeProject(other, Object.fromEntries(Object.entries(PROJECT).reverse()));
    await utimes(join(other, "handler.py"), 1, 1);
    await chmod(join(other, "handler.py"), 0o600);

    const [first, second] = [await packProject(folder, HOME), await packProject(other, HOME)];
    await rm(other, { recursive: true });
    expect(second.sha256).toBe(first.sha256);
  });

  it("gives other bytes when a file changes or becomes executable", async () => {
    await writeProject(folder, PROJECT);
    const before = await packProject(folder, HOME);
    await chmod(join(folder, "handler.py"), 0o755);
    const executable = await packProject(folder, HOME);
    await writeFile(join(folder, "handler.py"), "x = 2\n");
    const changed = await packProject(folder, HOME);

    expect(new Set([before.sha256, executable.sha256, changed.sha256]).size).toBe(3);
  });

  it("leaves out what the rules say, and adds .env and the API spec back", async () => {
    const paths = await packedPaths({
      ...PROJECT,
      ".env": "A=1",
      ".git/config": "",
      "lib/.hidden": "",
      "lib/.env": "",
      "old.pyc": "",
      "old.pyo": "",
      "old.pyd": "",
      "lib/__pycache__/words.cpython-311.pyc": "",
      "cortex-debug-1/log": "",
      ".cortexignore": "*.yaml\n/data/\n!.git\n",
      ".millraceignore": "notes*\n!notes.md\n.env\n",
      "data/huge.bin": "",
      "lib/data/kept.bin": "",
      "notes.txt": "",
      "notes.md": "",
      "lib/other.yaml": "",
    });

    expect(paths).toEqual([".env", "handler.py", "lib/data/kept.bin", "lib/words.py", "millrace.yaml", "notes.md"]);
  });

  it("packs a link to a file inside as that file, and refuses every other link", async () => {
    await writeProject(folder, PROJECT);
    await symlink("lib/words.py", join(folder, "words.py"));
    const { files } = await packProject(folder, HOME);
    expect(files.get("words.py")?.bytes.toString()).toBe("y = 2\n");

    await symlink("/etc/hostname", join(folder, "outside.txt"));
    await expect(packProject(folder, HOME)).rejects.toThrow(/^outside\.txt is a link that leads out of the project\. /);
    await rm(join(folder, "outside.txt"));
    await symlink("lib", join(folder, "library"));
    await expect(packProject(folder, HOME)).rejects.toThrow(/^library is a link to a folder\. /);
    await writeFile(join(folder, ".millraceignore"), "library\n");
    await expect(packProject(folder, HOME)).resolves.toBeDefined();
  });

  it("names the largest files of a project that is too large", async () => {
    await writeProject(folder, PROJECT);
    await writeFile(join(folder, "model.bin"), Buffer.alloc(LIMITS.projectBytesMax - 100));
    await expect(packProject(folder, HOME)).resolves.toBeDefined();
    await writeFile(join(folder, "more.bin"), Buffer.alloc(2 * 1024 * 1024));

    await expect(packProject(folder, HOME)).rejects.toThrow(
      "The project has 34.0 MiB; at most 32.0 MiB are allowed. Its largest files: model.bin (32.0 MiB), more.bin (2.0 MiB), ",
    );
  });

  it("refuses the home folder, the root folder, and what is no folder", async () => {
    await expect(packProject(folder, folder)).rejects.toThrow("is your home folder or the root folder");
    await expect(packProject("/", HOME)).rejects.toThrow("is your home folder or the root folder");
    await expect(packProject(join(folder, "none"), HOME)).rejects.toThrow("does not exist. Name the folder");
  });
});
