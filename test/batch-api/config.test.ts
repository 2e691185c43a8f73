import { describe, expect, it } from "vitest";
import { readServiceConfig } from "../../services/batch-api/config.ts";
import { Misconfigured } from "../../services/protocol/environment.ts";

const WHOLE = {
  MILLRACE_STORE: "s3://acme-batch",
  MILLRACE_LANES: "https://sqs.eu-central-1.amazonaws.com/111122223333/photos-0",
  MILLRACE_LOG_GROUP: "/millrace/photos",
  AWS_REGION: "eu-central-1",
  MILLRACE_API: "photos",
  MILLRACE_NAMESPACE: "batch",
  MILLRACE_POD_TEMPLATE: "photos.worker",
};

function faultsOf(environment: Readonly<Record<string, string>>): readonly string[] {
  try {
    readServiceConfig(environment);
  } catch (error) {
    if (error instanceof Misconfigured) return error.message.split("\n");
    throw error;
  }
  return [];
}

describe("readServiceConfig", () => {
  it("reads what a service in a cluster is told", () => {
    expect(readServiceConfig(WHOLE)).toMatchObject({
      ...{ bucket: "acme-batch", api: "photos", namespace: "batch", podTemplate: "photos.worker" },
      ...{ builderServiceAccount: undefined, port: 8877, healthPort: 8878 },
    });
    const builder = { ...WHOLE, MILLRACE_BUILDER_SERVICE_ACCOUNT: "photos-builder" };
    expect(readServiceConfig(builder).builderServiceAccount).toBe("photos-builder");
    expect(readServiceConfig({ ...WHOLE, MILLRACE_BUILDER_SERVICE_ACCOUNT: "" }).builderServiceAccount).toBeUndefined();
  });

  it("reads how callers are told apart", () => {
    const keys = { MILLRACE_AUTH: '{"kind":"apiKeys"}', MILLRACE_API_KEYS_FILE: "/keys/file" };
    const network = { kind: "network", cidrs: ["10.0.0.0/16"] };

    expect(readServiceConfig(WHOLE).auth).toEqual({ kind: "none" });
    expect(readServiceConfig({ ...WHOLE, ...keys }).auth).toEqual({ kind: "apiKeys", file: "/keys/file" });
    expect(readServiceConfig({ ...WHOLE, MILLRACE_AUTH: JSON.stringify(network) }).auth).toEqual(network);
  });

  it("reads how long results and records are kept: 90 and 365 days, unless it is told", () => {
    const kept = (results?: string, records?: string) =>
      readServiceConfig({
        ...WHOLE,
        ...(results === undefined ? {} : { MILLRACE_RETENTION_RESULTS_DAYS: results }),
        ...(records === undefined ? {} : { MILLRACE_RETENTION_RECORDS_DAYS: records }),
      }).retention;

    expect(kept()).toEqual({ resultsDays: 90, recordsDays: 365 });
    expect(kept("7")).toEqual({ resultsDays: 7, recordsDays: 365 });
    expect(kept(undefined, "30")).toEqual({ resultsDays: 30, recordsDays: 30 });
    expect(kept("forever", "forever")).toEqual({ resultsDays: null, recordsDays: null });
    expect(kept("", "")).toEqual({ resultsDays: 90, recordsDays: 365 });
  });

  it.each(["0", "3651", "-1", "1.5", "30d", "never", " 7"])("refuses %j as days of retention", (days) => {
    const why = "is neither a whole number of days from 1 to 3650 nor forever; write one of the two, or leave it out";
    expect(faultsOf({ ...WHOLE, MILLRACE_RETENTION_RESULTS_DAYS: days })).toEqual([
      `MILLRACE_RETENTION_RESULTS_DAYS ${why}`,
    ]);
    expect(faultsOf({ ...WHOLE, MILLRACE_RETENTION_RECORDS_DAYS: days })).toEqual([
      `MILLRACE_RETENTION_RECORDS_DAYS ${why}`,
    ]);
  });

  it("refuses to keep results longer than the records with which they go", () => {
    const environment = { ...WHOLE, MILLRACE_RETENTION_RESULTS_DAYS: "forever", MILLRACE_RETENTION_RECORDS_DAYS: "30" };

    expect(faultsOf(environment)).toEqual([
      "MILLRACE_RETENTION_RESULTS_DAYS is forever, longer than the 30 days of MILLRACE_RETENTION_RECORDS_DAYS, with which results go; keep records as long",
    ]);
  });

  it("reads who owns the code: whoever deploys, unless a stack is named", () => {
    const pinned = { ...WHOLE, MILLRACE_CODE: "pinned:acme/batch/prod" };

    expect(readServiceConfig(WHOLE).code).toEqual({ kind: "deployed" });
    expect(readServiceConfig({ ...WHOLE, MILLRACE_CODE: "deployed" }).code).toEqual({ kind: "deployed" });
    expect(readServiceConfig(pinned).code).toEqual({ kind: "pinned", stack: "acme/batch/prod" });
    expect(faultsOf({ ...WHOLE, MILLRACE_CODE: "pinned" })).toEqual([
      "MILLRACE_CODE is neither deployed nor pinned:<stack>; write one of the two, without blanks",
    ]);
  });

  it("names every fault at once, a line each, by the variable's name", () => {
    const faults = faultsOf({ MILLRACE_PORT: "0", MILLRACE_API: "v1", MILLRACE_POD_TEMPLATE: "Photos" });

    expect(faults.map((fault) => fault.split(" ")[0])).toEqual([
      "MILLRACE_STORE",
      "MILLRACE_LANES",
      "MILLRACE_LOG_GROUP",
      "AWS_REGION",
      "MILLRACE_API",
      "MILLRACE_NAMESPACE",
      "MILLRACE_POD_TEMPLATE",
      "MILLRACE_PORT",
    ]);
  });

  it.each([
    ["MILLRACE_API", "Photos", /^MILLRACE_API is characters that no API name has; use/],
    ["MILLRACE_API", "metrics", /^MILLRACE_API is a word of the service's own addresses;/],
    ["MILLRACE_NAMESPACE", "batch.photos", /^MILLRACE_NAMESPACE is no namespace: those have no dots/],
    ["MILLRACE_NAMESPACE", "b".repeat(64), /^MILLRACE_NAMESPACE is no namespace: those have no dots and at most 63/],
    ["MILLRACE_POD_TEMPLATE", "-photos", /^MILLRACE_POD_TEMPLATE is no name that Kubernetes takes;/],
    ["MILLRACE_BUILDER_SERVICE_ACCOUNT", "a b", /^MILLRACE_BUILDER_SERVICE_ACCOUNT is no name that Kubernetes takes;/],
    ["MILLRACE_PORT", "65536", /^MILLRACE_PORT is no whole number from 1 to 65535;/],
    ["MILLRACE_AUTH", "apiKeys", /^MILLRACE_AUTH: found text that is no JSON;/],
    ["MILLRACE_AUTH", '{"kind":"apikey"}', /^MILLRACE_AUTH\.kind: found "apikey"; write apiKeys instead\.$/],
    ["MILLRACE_AUTH", '{"kind":"apiKeys"}', /^MILLRACE_API_KEYS_FILE is not set; write where the file/],
    ["MILLRACE_API_KEYS_FILE", "/keys", /^MILLRACE_API_KEYS_FILE is set, and MILLRACE_AUTH does not ask for keys;/],
    ["MILLRACE_HEALTH_PORT", "8877", /^MILLRACE_HEALTH_PORT is the port of the doors;/],
  ])("refuses %s=%s", (name, value, fault) => {
    expect(faultsOf({ ...WHOLE, [name]: value })).toEqual([expect.stringMatching(fault)]);
  });
});
