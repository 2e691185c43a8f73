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

/** AWS's own addresses of SQS, which name the region; whatever else stands there is an endpoint that somebody chose. */
const AWS_QUEUE_HOST = /^sqs(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|api\.aws)$/;
const REGION = /^[a-z][a-z0-9-]*$/;
const LEASE_SECONDS = { default: 60, min: 3, max: 3600 } as const;

/** Whether a process belongs to the cloud runtime: it is told of a store beyond this machine. */
export function isCloud(environment: Environment): boolean {
  return (environment[ENV.store] ?? "") !== "";
}

/** Reads it; every fault goes to `faults`, a sentence each that names the variable, what is wrong and the fix. */
export function readCloudConfig(environment: Environment, faults: string[]): CloudConfig {
  return {
    bucket: bucketOf(environment[ENV.store] ?? "", faults),
    laneUrls: laneUrlsOf(environment[ENV.lanes] ?? "", environment.AWS_REGION ?? "", faults),
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
  if (!REGION.test(region)) {
    const found = region === "" ? "is not set" : "is no name of a region";
    faults.push(`AWS_REGION ${found}; write the region of the bucket and the queues, such as eu-central-1`);
  }
  return region;
}

function bucketOf(text: string, faults: string[]): string {
  const [, bucket] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/?$/.exec(text) ?? [];
  if (bucket !== undefined) return bucket;
  const found = text === "" ? "is not set" : "is no address of a bucket";
  faults.push(`${ENV.store} ${found}; write s3:// and the bucket's name, without a path`);
  return "";
}

/** An empty place counts: left out, every lane behind it would get another number. */
function laneUrlsOf(text: string, region: string, faults: string[]): readonly string[] {
  if (text.trim() === "") {
    faults.push(`${ENV.lanes} is not set; write the URLs of the API's queues, separated by commas`);
    return [];
  }
  const urls = text.split(",").map((url) => url.trim());
  for (const [lane, url] of urls.entries()) {
    const fault = queueUrlFault(url, region);
    if (fault !== undefined) faults.push(`${ENV.lanes} ${fault.found} at place ${String(lane + 1)}; ${fault.fix}`);
  }
  if (new Set(urls).size < urls.length)
    faults.push(`${ENV.lanes} names a queue twice; give each lane a queue of its own`);
  return urls;
}

function queueUrlFault(url: string, region: string): { readonly found: string; readonly fix: string } | undefined {
  const parsed = URL.parse(url);
  if (parsed === null || !/^https?:$/.test(parsed.protocol) || parsed.pathname === "/") {
    return { found: "has no URL of a queue", fix: "write the queue's URL as SQS gives it" };
  }
  const [, elsewhere = region] = AWS_QUEUE_HOST.exec(parsed.hostname) ?? [];
  if (elsewhere === region || !REGION.test(region)) return undefined;
  return { found: `has a queue of ${elsewhere}`, fix: `give lanes of AWS_REGION, ${region}` };
}

function logGroupOf(text: string, faults: string[]): string {
  if (!/^[A-Za-z0-9_\-/.#]{1,512}$/.test(text)) {
    const found = text === "" ? "is not set" : "is no name of a log group";
    faults.push(`${ENV.logGroup} ${found}; write the name of the API's log group, such as /millrace/image-classifier`);
  }
  return text;
}
