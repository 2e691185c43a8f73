/** What every process of the cloud runtime is told by its environment variables: where the store, the lanes and the logs are. */
import { ENV } from "../protocol/environment.ts";

export interface CloudConfig {
  /** Name of the store's bucket. */
  readonly bucket: string;
  /** Queue URL of each lane, by its number. */
  readonly laneUrls: readonly string[];
  readonly logGroup: string;
  readonly leaseSeconds: number;
  readonly region: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

const LEASE_SECONDS = { default: 60, min: 3, max: 3600 } as const;

/** Whether a process belongs to the cloud runtime: it is told of a store beyond this machine. */
export function isCloud(environment: Environment): boolean {
  return (environment[ENV.store] ?? "") !== "";
}

/** Reads it; every fault goes to `faults`, a sentence each that names the variable, what is wrong and the fix. */
export function readCloudConfig(environment: Environment, faults: string[]): CloudConfig {
  return {
    bucket: bucketOf(environment[ENV.store] ?? "", faults),
    laneUrls: laneUrlsOf(environment[ENV.lanes] ?? "", faults),
    logGroup: logGroupOf(environment[ENV.logGroup] ?? "", faults),
    leaseSeconds: integerOf(environment, ENV.leaseSeconds, LEASE_SECONDS, faults),
    region: regionOf(environment.AWS_REGION ?? "", faults),
  };
}

/** A whole number with a default; out of its range is a fault. */
export function integerOf(
  environment: Environment,
  name: string,
  range: { readonly default: number; readonly min: number; readonly max: number },
  faults: string[],
): number {
  const text = environment[name] ?? "";
  if (text === "") return range.default;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= range.min && value <= range.max) return value;
  faults.push(
    `${name} is no whole number from ${String(range.min)} to ${String(range.max)}; write one, or leave it out`,
  );
  return range.default;
}

function regionOf(region: string, faults: string[]): string {
  if (region === "")
    faults.push("AWS_REGION is not set; write the region of the bucket and the queues, such as eu-central-1");
  return region;
}

function bucketOf(text: string, faults: string[]): string {
  const [, bucket] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/?$/.exec(text) ?? [];
  if (bucket !== undefined) return bucket;
  const found = text === "" ? "is not set" : "is no address of a bucket";
  faults.push(`${ENV.store} ${found}; write s3:// and the bucket's name, without a path`);
  return "";
}

function laneUrlsOf(text: string, faults: string[]): readonly string[] {
  const urls = text.split(",").flatMap((url) => (url.trim() === "" ? [] : [url.trim()]));
  if (urls.length === 0)
    faults.push(`${ENV.lanes} is not set; write the URLs of the API's queues, separated by commas`);
  for (const [lane, url] of urls.entries()) {
    if (!/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
      faults.push(`${ENV.lanes} has no URL at place ${String(lane + 1)}; write the queue's URL as SQS gives it`);
    }
  }
  if (new Set(urls).size < urls.length)
    faults.push(`${ENV.lanes} names a queue twice; give each lane a queue of its own`);
  return urls;
}

function logGroupOf(text: string, faults: string[]): string {
  if (!/^[A-Za-z0-9_\-/.#]{1,512}$/.test(text)) {
    const found = text === "" ? "is not set" : "is no name of a log group";
    faults.push(`${ENV.logGroup} ${found}; write the name of the API's log group, such as /millrace/image-classifier`);
  }
  return text;
}
