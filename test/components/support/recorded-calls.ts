/**
 * The calls that service, workers and builders were seen to make while the cluster tests ran (`test/cloud/support/call-recorder.ts`),
 * a line each: action, where, and key or prefix without what differs from run to run, as `s3:GetObject store apis/{api}/current.json`.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Call } from "./policy-simulator.ts";

export const ROLES = ["service", "worker", "builder"] as const;
export type Role = (typeof ROLES)[number];
export type RecordedCalls = Readonly<Record<Role, readonly string[]>>;

export const RECORDED_CALLS_FILE = join(import.meta.dirname, "..", "fixtures", "recorded-calls.json");

/** Where an API has what in a rendered stack. */
export interface ApiPlace {
  readonly api: string;
  readonly storeArn: string;
  /** Bucket of the datasets. */
  readonly dataArn: string;
  readonly laneArns: readonly string[];
  readonly logGroupArn: string;
}

export function readRecordedCalls(): RecordedCalls {
  return JSON.parse(readFileSync(RECORDED_CALLS_FILE, "utf8")) as RecordedCalls;
}

/** What a role asked for, as IAM would be asked about an API that stands there. */
export function recordedCalls(role: Role, place: ApiPlace): readonly Call[] {
  return readRecordedCalls()[role].flatMap((line) => callsOf(line, place));
}

function callsOf(line: string, place: ApiPlace): readonly Call[] {
  const [action = "", where = "", ...rest] = line.replaceAll("{api}", place.api).replaceAll(/[{}]/g, "").split(" ");
  const text = rest.join(" ");
  switch (where) {
    case "store":
      return [s3Call(action, place.storeArn, text), ...whenAbsent(action, place.storeArn, text)];
    case "data":
      return [s3Call(action, place.dataArn, text)];
    case "lane":
      return place.laneArns.map((resource) => ({ action, resource }));
    case "group":
      // calls about a group are asked about its streams too: the simulator knows no stream without a name
      return [{ action, resource: `${place.logGroupArn}:log-stream:job/worker` }];
    default:
      throw new Error(
        `${line}: nobody here knows ${JSON.stringify(where)}; teach test/components/support/recorded-calls.ts`,
      );
  }
}

function s3Call(action: string, bucketArn: string, text: string): Call {
  if (action === "s3:ListBucket") return { action, resource: bucketArn, context: { "s3:prefix": text } };
  return { action, resource: `${bucketArn}/${text}` };
}

/** S3 tells that a key is absent only to whoever may list it, as a prefix; much is asked for before it exists. */
function whenAbsent(action: string, bucketArn: string, key: string): readonly Call[] {
  return action === "s3:GetObject" ? [s3Call("s3:ListBucket", bucketArn, key)] : [];
}
