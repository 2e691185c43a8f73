/**
 * The seam to the user's own data: `file://` under roots that the operator allowed, `s3://` where credentials are given.
 * Read only. URIs are `file:///absolute/path` (percent-encoded as WHATWG URLs are) or `s3://bucket/key` (raw key).
 */
import type { ByteRange } from "./object-store.ts";

export interface DatasetObject {
  readonly uri: string;
  readonly sizeBytes: number;
  /** Changes whenever the bytes may have changed: S3's ETag; inode, size and mtime in nanoseconds for a file. */
  readonly etag: string;
}

export interface Dataset {
  /**
   * Objects whose URI starts with `prefix` (a string prefix as on S3: `…/img_1` matches `…/img_10.png`), in ascending
   * order of their URI's bytes, directory markers left out, page by page and resumable: `after` is a URI already seen.
   * On `file://` the path of an existing folder means what lies in it, with or without the slash at its end.
   * Throws `DatasetError`.
   */
  list(prefix: string, options?: { readonly after?: string }): AsyncIterable<readonly DatasetObject[]>;

  /**
   * Bytes of a range, provided the object still has `etag`; throws `DatasetError` (`changed`, `missing`, `denied`, …).
   * `into` may be filled and a part of it answered, so that a reader of many ranges can reuse its memory.
   */
  read(uri: string, range: ByteRange, etag: string, into?: Buffer): Promise<Buffer>;
}

export type DatasetFault =
  "outside_roots" | "missing" | "denied" | "changed" | "unsupported" | "archived" | "unreachable";

/** A fault of the user's data, in a sentence that names the URI, what was found and the fix. */
export class DatasetError extends Error {
  override readonly name = "DatasetError";
  readonly fault: DatasetFault;
  readonly uri: string;

  constructor(fault: DatasetFault, uri: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
    this.uri = uri;
  }
}
