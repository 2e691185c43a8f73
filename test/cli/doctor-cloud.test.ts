import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Finding } from "../../cli/finding.ts";
import { CliUser } from "../support/a-cli.ts";
import { FakeAwsSettings } from "../support/fake-aws-settings.ts";

const QUEUE = { MaximumMessageSize: "1048576", VisibilityTimeout: "30" };

let fake: FakeAwsSettings;
let user: CliUser;
beforeEach(async () => {
  fake = await FakeAwsSettings.start();
  fake.queues = { "lane-0": QUEUE, "lane-1": QUEUE };
  fake.logGroups = ["/millrace/photos", "/millrace/photos-2"];
  user = await CliUser.create();
});
afterEach(async () => {
  await user.remove();
  await fake.stop();
});

function environment(): Record<string, string> {
  return {
    MILLRACE_API: "photos",
    MILLRACE_STORE: "s3://acme-batches",
    MILLRACE_LANES: `${fake.endpoint}/1/lane-0,${fake.endpoint}/1/lane-1`,
    MILLRACE_LOG_GROUP: "/millrace/photos",
    MILLRACE_NAMESPACE: "photos",
    MILLRACE_POD_TEMPLATE: "photos-worker",
    AWS_REGION: "eu-central-1",
    AWS_ENDPOINT_URL: fake.endpoint,
    AWS_ACCESS_KEY_ID: "test",
    AWS_SECRET_ACCESS_KEY: "secret-value",
  };
}

/** Its exit code, and its findings by name. */
async function ask(changed: Record<string, string> = {}) {
  const end = await user.run(["doctor", "--output", "json"], { environment: { ...environment(), ...changed } });
  expect(end.out).not.toContain("secret-value");
  const { findings } = JSON.parse(end.out) as { readonly findings: readonly Finding[] };
  const told = (name: string) => {
    const found = findings.find((one) => one.name === name);
    return `${found?.result ?? "no"}: ${found?.says ?? ""}`;
  };
  return { code: end.code, findings, told };
}

function rule(inner: string): string {
  return `<Rule><ID>tidy</ID><Status>Enabled</Status>${inner}</Rule>`;
}

describe("millrace doctor where a cluster's variables are set", () => {
  it("finds nothing to mend in what is well set up", async () => {
    const { code, findings } = await ask();

    expect(findings.map(({ name, result }) => `${name} ${result}`)).toEqual([
      ...[
        "node ok",
        "settings ok",
        "retention ok",
        "bucket ok",
        "lifecycle ok",
        "versions ok",
        "lane 0 ok",
        "lane 1 ok",
        "logs ok",
      ],
    ]);
    expect(code).toBe(0);
  });

  it("names every variable that is wrong, and asks nobody then", async () => {
    const { code, findings } = await ask({ MILLRACE_STORE: "acme-batches", MILLRACE_NAMESPACE: "" });

    const faults = findings.filter(({ result }) => result === "fail").map(({ says }) => says.split(" ")[0]);
    expect(faults).toEqual(["MILLRACE_STORE", "MILLRACE_NAMESPACE"]);
    expect(findings).toHaveLength(3);
    expect(code).toBe(1);
  });

  it.each([
    ["expires everything", "<Filter/><Expiration><Days>30</Days></Expiration>", "warn"],
    ["expires it by the old form", "<Prefix>ap</Prefix><Expiration><Days>30</Days></Expiration>", "warn"],
    [
      "expires a part of it",
      "<Filter><Prefix>apis/photos/jobs/</Prefix></Filter><Expiration><Days>9</Days></Expiration>",
      "warn",
    ],
    [
      "archives it",
      "<Filter><Prefix>apis/</Prefix></Filter><Transition><Days>9</Days><StorageClass>GLACIER</StorageClass></Transition>",
      "warn",
    ],
    [
      "expires another API's",
      "<Filter><Prefix>apis/photos-2/</Prefix></Filter><Expiration><Days>9</Days></Expiration>",
      "ok",
    ],
    [
      "expires what has a tag",
      "<Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter><Expiration><Days>9</Days></Expiration>",
      "ok",
    ],
    ["expires uploads only", "<Filter/><AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>", "ok"], // prettier-ignore
  ])("judges a lifecycle rule that %s", async (_, inner, result) => {
    fake.lifecycle = rule(inner);

    const { told, code } = await ask();

    expect(told("lifecycle")).toMatch(result === "warn" ? /^warn: lifecycle rule "tidy" .*another prefix$/ : /^ok/);
    expect(code).toBe(0);
  });

  it("passes over a rule that is off", async () => {
    fake.lifecycle = rule("<Filter/><Expiration><Days>1</Days></Expiration>").replace("Enabled", "Disabled");

    expect((await ask()).told("lifecycle")).toMatch(/^ok/);
  });

  it("warns of versioning unless former versions expire", async () => {
    fake.versioning = "Enabled";

    expect((await ask()).told("versions")).toMatch(/^warn: .*versioning on: .*suspend it/);
    fake.lifecycle = rule("<Filter/><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>"); // prettier-ignore
    expect((await ask()).told("versions")).toMatch(/^ok/);
  });

  it("warns of queues that take small messages or take messages away, and names one that is not there", async () => {
    const policy = JSON.stringify({ deadLetterTargetArn: "arn:aws:sqs:x:1:dead", maxReceiveCount: "10" });
    fake.queues = { "lane-0": { MaximumMessageSize: "262144", RedrivePolicy: policy } };

    const { told, code } = await ask();

    expect(told("lane 0")).toMatch(/^warn: .*set MaximumMessageSize to 1048576; .*after 10 receives.*1000$/);
    expect(told("lane 1")).toMatch(/^fail: .*lane-1.*does not exist; check its URL/);
    expect(code).toBe(1);
  });

  it("names a log group that is not there, whatever else begins like it", async () => {
    const { told, code } = await ask({ MILLRACE_LOG_GROUP: "/millrace/pho" });

    expect(told("logs")).toMatch(/^fail: log group \/millrace\/pho does not exist in eu-central-1: create it/);
    expect(code).toBe(1);
  });

  it.each([
    [["NoSuchBucket", 404], "names a bucket that does not exist; create acme-batches"],
    [["AccessDenied", 403], "grant this service s3:ListBucket on acme-batches"],
    [["PermanentRedirect", 301], "set AWS_REGION to the bucket's region"],
    [["ExpiredToken", 400], "credentials are missing or have expired; renew them"],
  ] as const)("says what keeps the store from it: %s", async (refusal, sentence) => {
    fake.s3Refuses = refusal;

    const { told, code } = await ask();

    expect(told("bucket")).toContain("fail: ");
    expect(told("bucket")).toContain(sentence);
    expect(code).toBe(1);
  });
});
