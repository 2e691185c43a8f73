/** Where an API's jobs may read and write: `reads` and `writes` of a `BatchApi`, as buckets and prefixes. */
import { s3Address } from "../services/protocol/dataset-uris.ts";
import type { Faults } from "./faults.ts";

/** A part of a bucket, or all of it. */
export interface DatasetLocation {
  readonly bucket: string;
  /** What keys begin with, as in a listing: `2026` covers `2026-old/` too; empty for the whole bucket. */
  readonly prefix: string;
}

const BUCKET_NAME = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const EXAMPLE = "s3://bucket/prefix/";

/**
 * Locations as `s3://` URIs name them, without those that another one covers. What is wrong goes to `faults` under
 * `<propertyPath>[n]`, and that URI is left out.
 *
 * @param first n of the first URI; default 0
 */
export function datasetLocations(
  propertyPath: string,
  uris: readonly string[],
  faults: Faults,
  first = 0,
): readonly DatasetLocation[] {
  const locations: DatasetLocation[] = [];
  for (const [at, uri] of uris.entries()) {
    const found = datasetLocation(uri);
    if (typeof found === "string") faults.add(`${propertyPath}[${String(first + at)}]`, found);
    else locations.push(found);
  }
  return uncovered(locations);
}

/** A location, or what is wrong with its URI, to stand behind the property's name. */
function datasetLocation(uri: string): DatasetLocation | string {
  if (uri === "") return `is empty; write where the objects are: ${EXAMPLE}`;
  const found = `is ${JSON.stringify(uri)}`;
  const ofArn = /^arn:[^:]*:s3:::([^/]+)(?:\/([^*]*))?/.exec(uri);
  if (ofArn !== null) return `${found}, an ARN; write "s3://${ofArn[1] ?? ""}/${ofArn[2] ?? ""}"`;
  const address = s3Address(uri);
  if (!uri.startsWith("s3://")) return `${found}, which is not in S3; write ${EXAMPLE}`;
  if (address === undefined) return `${found}, which names no bucket; write ${EXAMPLE}`;
  const { bucket, key: prefix } = address;
  if (!BUCKET_NAME.test(bucket)) {
    return `${found}, and ${JSON.stringify(bucket)} is no name of a bucket (a-z, 0-9, "." and "-", 3 to 63 of them); write ${EXAMPLE}`;
  }
  if (!uri.startsWith(`s3://${bucket}/`)) {
    return `${found}, a bucket alone; write "s3://${bucket}/" for all that is in it, or a prefix of it`;
  }
  return prefixFault(found, bucket, prefix) ?? { bucket, prefix };
}

function prefixFault(found: string, bucket: string, prefix: string): string | undefined {
  const pattern = /[*?]/.exec(prefix);
  if (pattern !== null) {
    const folder = prefix.slice(0, prefix.lastIndexOf("/", pattern.index) + 1);
    return `${found}, a pattern; a location is a prefix of keys: write "s3://${bucket}/${folder}"`;
  }
  if (prefix.includes("${")) {
    const before = prefix.slice(0, prefix.indexOf("${"));
    return `${found}, in which IAM takes "\${" for the beginning of a variable; write a shorter prefix: "s3://${bucket}/${before}"`;
  }
  if (!prefix.startsWith("/")) return undefined;
  return `${found}, a prefix that begins with an empty name; write "s3://${bucket}/${prefix.replace(/^\/+/, "")}"`;
}

/** Without duplicates, and without what lies inside another one: policies have little room. */
function uncovered(locations: readonly DatasetLocation[]): readonly DatasetLocation[] {
  return locations.filter((one, at) => {
    const others = locations.filter((_, other) => other !== at);
    return !others.some((other) => covers(other, one) && (!covers(one, other) || locations.indexOf(other) < at));
  });
}

function covers(one: DatasetLocation, other: DatasetLocation): boolean {
  return one.bucket === other.bucket && other.prefix.startsWith(one.prefix);
}
