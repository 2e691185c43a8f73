/** What keys and prefixes of an `ObjectStore` may be; every implementation checks with this before it touches anything. */

const KEY_CHARACTERS_MAX = 512;
/** Below the 255 bytes that file systems allow a name, so that `@<n>` fits behind it. */
const SEGMENT_CHARACTERS_MAX = 240;
const SEGMENT = /^[A-Za-z0-9._-]+$/;

/** Throws a `RangeError` that says what is wrong with a key. */
export function checkKey(key: string): void {
  if (key.length > KEY_CHARACTERS_MAX) {
    throw new RangeError(`object key of ${String(key.length)} characters; at most ${String(KEY_CHARACTERS_MAX)}`);
  }
  for (const segment of key.split("/")) checkSegment(key, segment);
}

/** A prefix is the beginning of a key: its last segment may be cut anywhere, also to nothing. */
export function checkPrefix(prefix: string): void {
  const segments = prefix.split("/");
  const last = segments.pop() ?? "";
  for (const segment of segments) checkSegment(prefix, segment);
  if (last !== "" && !SEGMENT.test(last)) checkSegment(prefix, last);
}

/** A folder is a prefix that ends where a segment begins. */
export function checkFolder(folder: string): void {
  checkPrefix(folder);
  if (folder !== "" && !folder.endsWith("/"))
    throw new RangeError(`folder ${JSON.stringify(folder)} of an object store ends without a slash`);
}

/** True for a name that may stand between two slashes of a key. */
export function isSegment(name: string): boolean {
  return name !== "." && name !== ".." && name.length <= SEGMENT_CHARACTERS_MAX && SEGMENT.test(name);
}

function checkSegment(key: string, segment: string): void {
  if (isSegment(segment)) return;
  const shown = JSON.stringify(key.slice(0, KEY_CHARACTERS_MAX));
  throw new RangeError(
    `object key ${shown} has the segment ${JSON.stringify(segment.slice(0, SEGMENT_CHARACTERS_MAX))}; ` +
      `a segment is 1 to ${String(SEGMENT_CHARACTERS_MAX)} characters of A-Z a-z 0-9 . _ - and neither . nor ..`,
  );
}
