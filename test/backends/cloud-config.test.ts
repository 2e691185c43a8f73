import { describe, expect, it } from "vitest";
import { isCloud, readCloudConfig, type Environment } from "../../services/backends/cloud-config.ts";

const QUEUE = "https://sqs.eu-central-1.amazonaws.com/111122223333/photos";
const WHOLE = {
  MILLRACE_STORE: "s3://acme-batch",
  MILLRACE_LANES: `${QUEUE}-0, ${QUEUE}-1`,
  MILLRACE_LOG_GROUP: "/millrace/photos",
  AWS_REGION: "eu-central-1",
};

function faultsOf(environment: Environment): readonly string[] {
  const faults: string[] = [];
  readCloudConfig(environment, faults);
  return faults;
}

describe("readCloudConfig", () => {
  it("reads what a process in the cloud is told", () => {
    const faults: string[] = [];

    expect(readCloudConfig(WHOLE, faults)).toEqual({
      bucket: "acme-batch",
      laneUrls: [`${QUEUE}-0`, `${QUEUE}-1`],
      logGroup: "/millrace/photos",
      leaseSeconds: 60,
      region: "eu-central-1",
    });
    expect(faults).toEqual([]);
    expect(readCloudConfig({ ...WHOLE, MILLRACE_LEASE_SECONDS: "6" }, faults).leaseSeconds).toBe(6);
  });

  it("names everything that is missing at once", () => {
    expect(faultsOf({})).toEqual([
      "MILLRACE_STORE is not set; write s3:// and the bucket's name, without a path",
      "MILLRACE_LANES is not set; write the URLs of the API's queues, separated by commas",
      "MILLRACE_LOG_GROUP is not set; write the name of the API's log group, such as /millrace/image-classifier",
      "AWS_REGION is not set; write the region of the bucket and the queues, such as eu-central-1",
    ]);
  });

  it.each<[keyof typeof WHOLE | "MILLRACE_LEASE_SECONDS", string, RegExp]>([
    ["MILLRACE_STORE", "acme-batch", /^MILLRACE_STORE is no address of a bucket;/],
    ["MILLRACE_STORE", "s3://acme-batch/photos", /without a path$/],
    ["MILLRACE_STORE", "s3://Acme", /^MILLRACE_STORE is no address of a bucket;/],
    ["MILLRACE_STORE", "s3://ab", /^MILLRACE_STORE is no address of a bucket;/],
    ["MILLRACE_LANES", `${QUEUE}-0,photos-1`, /^MILLRACE_LANES has no URL of a queue at place 2;/],
    ["MILLRACE_LANES", `${QUEUE}-0,,${QUEUE}-1`, /^MILLRACE_LANES has no URL of a queue at place 2;/],
    ["MILLRACE_LANES", "https://sqs.eu-central-1.amazonaws.com", /^MILLRACE_LANES has no URL of a queue at place 1;/],
    ["MILLRACE_LANES", `${QUEUE},${QUEUE}`, /^MILLRACE_LANES names a queue twice;/],
    [
      "MILLRACE_LANES",
      QUEUE.replace("eu-central-1", "us-east-1"),
      /^MILLRACE_LANES has a queue of us-east-1 at place 1; give lanes of AWS_REGION, eu-central-1$/,
    ],
    ["MILLRACE_LOG_GROUP", "/millrace/photos and more", /^MILLRACE_LOG_GROUP is no name of a log group;/],
    ["MILLRACE_LOG_GROUP", "x".repeat(513), /^MILLRACE_LOG_GROUP is no name of a log group;/],
    ["MILLRACE_LEASE_SECONDS", "2", /^MILLRACE_LEASE_SECONDS is no whole number from 3 to 3600;/],
    ["MILLRACE_LEASE_SECONDS", "3601", /^MILLRACE_LEASE_SECONDS is no whole number/],
    ["MILLRACE_LEASE_SECONDS", "1e2", /^MILLRACE_LEASE_SECONDS is no whole number/],
    ["AWS_REGION", "Frankfurt", /^AWS_REGION is no name of a region;/],
  ])("refuses %s=%s", (name, value, fault) => {
    expect(faultsOf({ ...WHOLE, [name]: value })).toEqual([expect.stringMatching(fault)]);
  });

  it.each([
    ["MILLRACE_STORE", "s3://abc/"],
    ["MILLRACE_STORE", `s3://${"a".repeat(63)}`],
    ["MILLRACE_LANES", "http://127.0.0.1:4100/000000000000/lane-0"],
    ["MILLRACE_LANES", "https://sqs.eu-central-1.api.aws/111122223333/photos"],
    ["MILLRACE_LOG_GROUP", "x".repeat(512)],
    ["MILLRACE_LEASE_SECONDS", "3"],
    ["MILLRACE_LEASE_SECONDS", "3600"],
    ["MILLRACE_LEASE_SECONDS", ""],
  ])("takes %s=%s", (name, value) => {
    expect(faultsOf({ ...WHOLE, [name]: value })).toEqual([]);
  });

  it("tells the cloud from a laptop by the store", () => {
    expect([isCloud(WHOLE), isCloud({ MILLRACE_STORE: "" }), isCloud({})]).toEqual([true, false, false]);
  });
});
