/** One `Dataset` out of several, chosen by the URI's scheme. */
import { DatasetError } from "./dataset.ts";
import type { Dataset } from "./dataset.ts";

/**
 * What this service can read; at least one. Without `s3`, `s3://` is refused with `s3Missing`, a sentence that says how to
 * allow it; without `files` (in a cluster no folder is everybody's) `file://` is refused.
 */
export interface DatasetSchemes {
  readonly files?: Dataset;
  readonly s3?: Dataset;
  readonly s3Missing?: string;
}

export function datasetFor(schemes: DatasetSchemes): Dataset {
  const chosen = (uri: string): Dataset => {
    if (uri.startsWith("file://")) {
      if (schemes.files !== undefined) return schemes.files;
      const fix = "copy the data to a bucket and give its s3:// address";
      throw new DatasetError("unsupported", uri, `${uri} cannot be read: workers in a cluster share no folder; ${fix}`);
    }
    if (!uri.startsWith("s3://")) {
      throw new DatasetError("unsupported", uri, `${uri} is neither file:// nor s3://; give one of these`);
    }
    if (schemes.s3 !== undefined) return schemes.s3;
    const why = schemes.s3Missing ?? "this service has no S3 credentials; start it with AWS credentials and AWS_REGION";
    throw new DatasetError("unsupported", uri, `${uri} cannot be read: ${why}`);
  };
  return {
    list: (prefix, options) => chosen(prefix).list(prefix, options),
    async read(uri, range, etag, into) {
      return chosen(uri).read(uri, range, etag, into);
    },
  };
}
