/**
 * How data is addressed: `file:///absolute/path`, percent-encoded as WHATWG URLs are, or `s3://bucket/key` with the raw key.
 * Pure: nothing here looks at a disk.
 */

/** Characters that a file URI carries as they are; `encodeURIComponent` would escape them. */
const KEPT: Readonly<Record<string, string>> = {
  "%2F": "/",
  "%24": "$",
  "%26": "&",
  "%2B": "+",
  "%2C": ",",
  "%3B": ";",
  "%3D": "=",
  "%3A": ":",
  "%40": "@",
};

/** The URI of an absolute path. Equal paths give equal URIs, and byte order of URIs is what listings go by. */
export function fileUri(path: string): string {
  return `file://${encodePath(path)}`;
}

/** A path, or one name of it, as it stands in a file URI. */
export function encodePath(path: string): string {
  return /^[A-Za-z0-9\-._~!*'()$&+,;=:@/]*$/.test(path)
    ? path
    : encodeURIComponent(path).replace(/%(?:2F|24|26|2B|2C|3B|3D|3A|40)/g, (escape) => KEPT[escape] ?? escape);
}

/** The absolute path that a file URI means; undefined when it is none, or holds an escape that is not UTF-8. */
export function filePath(uri: string): string | undefined {
  if (!uri.startsWith("file:///")) return undefined;
  try {
    const path = decodeURIComponent(uri.slice("file://".length));
    return path.includes("\0") ? undefined : path;
  } catch {
    return undefined; // the escape is not UTF-8: no path of ours has it
  }
}

export interface S3Address {
  readonly bucket: string;
  /** Raw; empty for the whole bucket. */
  readonly key: string;
}

/** Bucket and key of an `s3://` URI; undefined when it is none. */
export function s3Address(uri: string): S3Address | undefined {
  const match = /^s3:\/\/([^/]+)(?:\/([^]*))?$/.exec(uri);
  return match?.[1] === undefined ? undefined : { bucket: match[1], key: match[2] ?? "" };
}

/** A URI as a person reads it, and as globs match it: file URIs without percent escapes, others unchanged. */
export function readableUri(uri: string): string {
  const path = uri.includes("%") ? filePath(uri) : undefined;
  return path === undefined ? uri : `file://${path}`;
}

/** A text that names no data. The message says what was found and what is understood. */
export class DatasetUriInvalid extends Error {
  override readonly name = "DatasetUriInvalid";
}

/**
 * What a user wrote, as a URI: `/abs/path`, `file:///abs/path` (escaped or not) or `s3://bucket/prefix`. `.` and `..` of
 * paths are resolved, a slash at the end is kept. Throws `DatasetUriInvalid`.
 */
export function toUri(written: string): string {
  const fault = (why: string) =>
    new DatasetUriInvalid(
      `${JSON.stringify(written)} names no data: ${why}; give an absolute path, file:///absolute/path or s3://bucket/prefix`,
    );
  if (written === "") throw fault("it is empty");
  if (written.includes("\0")) throw fault("it holds a NUL character");
  if (!written.isWellFormed()) throw fault("it holds half a character (a surrogate without its other half)");
  if (written.startsWith("s3://")) {
    if (s3Address(written) === undefined) throw fault("the bucket is missing");
    return written;
  }
  if (written.startsWith("/")) return fileUri(resolved(written));
  if (written.startsWith("file:///")) {
    // A stray "%" is a character of the name, not an escape.
    return fileUri(resolved(filePath(written) ?? written.slice("file://".length)));
  }
  if (written.startsWith("file:")) throw fault("a file URI has three slashes before its path");
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(written)?.[1];
  if (scheme !== undefined) throw fault(`the scheme ${scheme} is not supported`);
  if (written.startsWith("~")) throw fault("~ is expanded by shells only");
  throw fault("it is a relative path");
}

function resolved(path: string): string {
  const kept: string[] = [];
  const names = path.split("/");
  for (const name of names) {
    if (name === "..") kept.pop();
    else if (name !== "" && name !== ".") kept.push(name);
  }
  const last = names.at(-1);
  const folder = kept.length > 0 && (last === "" || last === "." || last === "..");
  return `/${kept.join("/")}${folder ? "/" : ""}`;
}
