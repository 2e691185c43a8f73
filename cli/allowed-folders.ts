/** `--allow DIR`. */
import { realpath, stat } from "node:fs/promises";
import { CliError } from "./cli-error.ts";

/** Absolute real paths. Throws `CliError`. */
export async function checkedFolders(
  folders: readonly string[],
  absolute: (folder: string) => string,
): Promise<readonly string[]> {
  const checked: string[] = [];
  for (const folder of folders) {
    const path = await realpath(absolute(folder)).catch(() => undefined);
    const found = path === undefined ? undefined : await stat(path);
    if (path !== undefined && found?.isDirectory() === true) checked.push(path);
    else
      throw new CliError(
        `--allow: ${folder} ${path === undefined ? "does not exist" : "is not a folder"}; name a folder that jobs may read`,
      );
  }
  return [...new Set(checked)];
}
