/** Folders of a bucket, as S3 tells them: keys with a slash behind the prefix, grouped (ListObjectsV2, `Delimiter`). */
import { isSegment } from "../object-key.ts";
import type { FolderPage } from "../object-store.ts";
import type { ListedKeys, ListRequest } from "./s3-requests.ts";

/**
 * Keys right under the folder are told beside the folders and count towards a page, so there may have to be further pages.
 * A console's empty folder is told as well; whoever looks into it finds nothing.
 */
export async function foldersUnder(
  list: (request: Omit<ListRequest, "bucket">) => Promise<ListedKeys>,
  folder: string,
  after: string | undefined,
  limit: number,
): Promise<FolderPage> {
  const names: string[] = [];
  let from = after === undefined ? "" : behind(`${folder}${after}/`);
  for (;;) {
    const page = await list({ prefix: folder, after: from, keysMax: limit - names.length, byFolder: true });
    names.push(...page.folders.map((found) => found.slice(folder.length, -1)).filter(isSegment));
    if (!page.more) return { names };
    if (names.length === limit) return { names, next: names.at(-1) ?? "" };
    const last = page.folders.at(-1);
    from = [page.objects.at(-1)?.key ?? "", last === undefined ? "" : behind(last)].sort().at(-1) ?? "";
  }
}

/** A folder itself is greater than none of its keys; no key has a character that is greater than `~`. */
function behind(folder: string): string {
  return `${folder}~`;
}
