import { readdir, rm } from "node:fs/promises";
import { errorCode } from "./folder/file-system.ts";

/** Folders that stand beside each other under their names: what a laptop unpacked, built or logged. */
export class NamedFolders {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** None when nothing was ever put there. Names that begin with a dot are still being made. */
  async names(): Promise<readonly string[]> {
    try {
      return (await readdir(this.#path)).filter((name) => !name.startsWith("."));
    } catch (error) {
      if (errorCode(error) === "ENOENT") return [];
      throw error;
    }
  }

  async remove(name: string): Promise<void> {
    await rm(`${this.#path}/${name}`, { recursive: true, force: true });
  }
}
