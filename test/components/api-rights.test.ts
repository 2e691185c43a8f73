import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";
import { apiRights, checkRightsSize, type RightsSize } from "../../components/api-rights.ts";
import { Faults } from "../../components/faults.ts";
import { PodRole } from "../../components/pod-role.ts";
import { sendBatches } from "../../components/statements.ts";
import { BY_S3, BY_SQS, calls, KMS, NOBODYS, NOT_FOR, PLACE, SQS, STORE } from "./support/neighbour-calls.ts";
import { document, isAllowed, type Call, type PolicyDocument } from "./support/policy-simulator.ts";
import { recordedCalls, ROLES, type Role } from "./support/recorded-calls.ts";
import { render } from "./support/render.ts";

let policies: Readonly<Record<Role, PolicyDocument>>;
beforeAll(async () => {
  policies = await renderedPolicies();
});

/** As a stack has them: what providers compute comes as outputs. */
async function renderedPolicies(): Promise<Readonly<Record<Role, PolicyDocument>>> {
  const cluster = { clusterName: "batch", clusterArn: "arn:aws:eks:eu-west-1:123456789012:cluster/batch" };
  const stack = await render(() => {
    const rights = apiRights({
      store: { bucketArn: pulumi.output(STORE), kmsKeyArn: pulumi.output(`${KMS}/store`) },
      api: "photos",
      laneArns: pulumi.output([...PLACE.laneArns]),
      laneKeyArn: `${KMS}/lanes`,
      logGroupArn: pulumi.output(PLACE.logGroupArn),
      reads: [
        { bucket: "acme-data", prefix: "2026/" },
        { bucket: "acme-all", prefix: "" },
      ],
      writes: [{ bucket: "acme-labels", prefix: "photos/" }],
      datasetKeyArns: [`${KMS}/data`],
      deadLetterQueueArns: [`${SQS}:acme-failed`],
      partition: pulumi.output("aws"),
    });
    for (const role of ROLES) {
      new PodRole(role, { cluster, namespace: "photos", serviceAccount: role, statements: rights[role] });
    }
  });
  const policyOf = (role: Role) => {
    const { inputs } = stack.one("aws:iam/rolePolicy:RolePolicy", `${role}-policy`);
    return JSON.parse(String(inputs["policy"])) as PolicyDocument;
  };
  return { service: policyOf("service"), worker: policyOf("worker"), builder: policyOf("builder") };
}

/** Of these calls those that the role may make. */
async function allowedOf(role: Role, calls: readonly Call[]): Promise<readonly string[]> {
  const allowed: string[] = [];
  for (const call of calls) if (await isAllowed(policies[role], call)) allowed.push(told(call));
  return allowed;
}

function allowed(role: Role, call: Call | undefined): Promise<boolean> {
  if (call === undefined) throw new Error("there is no such call");
  return isAllowed(policies[role], call);
}

/** Rights that no recorded run needs: whoever declares dead-letter queues, locations to write or keys asks for them. */
const SOME_APIS = ["acme-failed", "acme-labels", "acme-all", KMS];

/** A policy as statements of one action on one resource each. */
function singleRights({ Statement: statements }: PolicyDocument) {
  return statements.flatMap((statement) => {
    const { Action: actions, Resource: resources } = statement as {
      readonly Action: string[];
      readonly Resource: string[];
    };
    return resources.flatMap((Resource) => actions.map((Action) => ({ ...statement, Action, Resource })));
  });
}

function told({ action, resource, context = {} }: Call): string {
  return [action, resource, ...Object.values(context)].join(" ");
}

describe.each(ROLES)("the rights of a %s", (role) => {
  it("allow every call that it was seen to make, also where a key is absent", async () => {
    const seen = recordedCalls(role, PLACE);

    expect(seen.length).toBeGreaterThan(5);
    const allowed = await allowedOf(role, seen);
    expect(seen.map(told).filter((call) => !allowed.includes(call))).toEqual([]);
  });

  it("allow nothing of its neighbours, and nothing that it is not for", async () => {
    expect(await allowedOf(role, [...NOBODYS, ...NOT_FOR[role]])).toEqual([]);
  });

  it("hold nothing that no run needs, but for what only some APIs are given", async () => {
    const seen = recordedCalls(role, PLACE);
    const unused: string[] = [];
    for (const right of singleRights(policies[role])) {
      const { Action: action, Resource: resource } = right;
      const asked = seen.filter((call) => call.action === action);
      const used = await Promise.all(asked.map((call) => isAllowed(document(right), call)));
      if (!used.includes(true)) unused.push(`${action} ${resource}`);
    }

    expect(unused.filter((right) => !SOME_APIS.some((some) => right.includes(some)))).toEqual([]);
  });
});

describe("rights that only some APIs are given", () => {
  it("let the service send to dead-letter queues", async () => {
    const [send] = calls(`${SQS}:acme-failed`, "sqs:SendMessage");

    expect(await allowed("service", send)).toBe(true);
  });

  it("let handlers write where the API writes, in parts too", async () => {
    const writes = calls("arn:aws:s3:::acme-labels/photos/a.csv", "s3:PutObject", "s3:AbortMultipartUpload");

    expect(await allowedOf("worker", writes)).toHaveLength(2);
  });

  it("let a whole bucket be read", async () => {
    const [read] = calls("arn:aws:s3:::acme-all/any/thing", "s3:GetObject");
    const [list] = calls("arn:aws:s3:::acme-all", "s3:ListBucket");

    expect([await allowed("service", read), await allowed("worker", read)]).toEqual([true, true]);
    expect([await allowed("service", list), await allowed("worker", list)]).toEqual([true, false]);
  });

  it.each([
    ["service", "store", BY_S3, ["kms:Decrypt", "kms:GenerateDataKey"]],
    ["service", "data", BY_S3, ["kms:Decrypt"]],
    ["service", "lanes", BY_SQS, ["kms:Decrypt", "kms:GenerateDataKey"]],
    ["worker", "store", BY_S3, ["kms:Decrypt", "kms:GenerateDataKey"]],
    ["worker", "data", BY_S3, ["kms:Decrypt", "kms:GenerateDataKey"]],
    ["worker", "lanes", BY_SQS, ["kms:Decrypt"]],
    ["builder", "store", BY_S3, ["kms:Decrypt", "kms:GenerateDataKey"]],
  ] as const)("let the %s use the key of the %s", async (role, key, context, actions) => {
    for (const action of actions)
      expect(await allowed(role, { action, resource: `${KMS}/${key}`, context })).toBe(true);
  });
});

describe("the size of an API's policies", () => {
  const SMALL: RightsSize = {
    ...{ api: "image-classifier", queueName: "image-classifier", lanes: 4, deadLetterQueues: 0, permissions: [] },
    reads: [{ bucket: "acme-photos", prefix: "2026/" }],
    writes: [{ bucket: "acme-labels", prefix: "" }],
  };
  const locations = (count: number) => {
    return Array.from({ length: count }, (_, at) => ({
      bucket: "acme-photos",
      prefix: `${"year/".repeat(10)}${String(at)}/`,
    }));
  };

  function faultOf(over: Partial<RightsSize>): string | undefined {
    const faults = new Faults('BatchApi "image-classifier"');
    checkRightsSize(faults, { ...SMALL, ...over });
    try {
      faults.throwIfAny();
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  it("is no fault with ninety lanes, or fifty locations", () => {
    expect(faultOf({})).toBeUndefined();
    expect(faultOf({ lanes: 90 })).toBeUndefined();
    expect(faultOf({ reads: locations(50) })).toBeUndefined();
  });

  it.each([
    [
      "lanes",
      { lanes: 100, queueName: "q".repeat(42) },
      /concurrentJobsMax makes the policy of the service up to 1\d,\d{3} characters long, and IAM takes 10,240; write a smaller number: each lane is named in it$/,
    ],
    [
      "reads",
      { reads: locations(100) },
      /reads makes the policy of the service .*; name fewer prefixes that hold these, or their bucket$/,
    ],
    ["writes", { writes: locations(120) }, /writes makes the policy of the workers .*; name fewer prefixes/],
    ["queues", { deadLetterQueues: 90 }, /deadLetterQueues makes the policy of the service .*; name fewer queues$/],
    [
      "permissions",
      { permissions: Array.from({ length: 90 }, () => sendBatches([pulumi.output("arn")])).flat() },
      /permissions makes the policy of the workers .*; join statements, or allow what is beyond it by the resources' own policies$/,
    ],
  ])("is told before anything is declared: too many %s", (_, over, message) => {
    expect(faultOf(over)).toMatch(message);
  });
});
