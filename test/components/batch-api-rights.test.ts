/** The policies of whole BatchApis, beside each other in one stack: each does all that its pods were seen to do, and nothing of the other's. */
import { beforeAll, describe, expect, it } from "vitest";
import { BatchApi } from "../../components/batch-api.ts";
import { aCluster } from "./support/a-cluster.ts";
import { isAllowed, type Call, type PolicyDocument } from "./support/policy-simulator.ts";
import { recordedCalls, ROLES, type ApiPlace, type Role } from "./support/recorded-calls.ts";
import { render, type RenderedStack } from "./support/render.ts";

/** The second one's name begins with the first one's. */
const APIS = { photos: "acme-data", "photos-2": "acme-letters" } as const;
type Api = keyof typeof APIS;

let stack: RenderedStack;
beforeAll(async () => {
  stack = await render(() => {
    const cluster = aCluster();
    for (const [name, bucket] of Object.entries(APIS)) {
      new BatchApi(name, {
        cluster,
        code: { kind: "deployed" },
        reads: [`s3://${bucket}/2026/`],
        concurrentJobsMax: 2,
      });
    }
  });
});

function policyOf(api: Api, role: Role): PolicyDocument {
  const { inputs } = stack.one("aws:iam/rolePolicy:RolePolicy", `${api}-${role}-policy`);
  return JSON.parse(String(inputs["policy"])) as PolicyDocument;
}

/** As the service is told it: what a policy names elsewise is no use. */
function placeOf(api: Api): ApiPlace {
  const deployment = JSON.stringify(stack.one("kubernetes:apps/v1:Deployment", `${api}-service`).inputs);
  const told = (variable: string) => new RegExp(`"name":"${variable}","value":"([^"]*)"`).exec(deployment)?.[1] ?? "";
  const queues = told("MILLRACE_LANES")
    .split(",")
    .map((url) => new URL(url).pathname.split("/").at(-1) ?? "");
  return {
    api: told("MILLRACE_API"),
    storeArn: `arn:aws:s3:::${told("MILLRACE_STORE").slice("s3://".length)}`,
    dataArn: `arn:aws:s3:::${APIS[api]}`,
    laneArns: queues.map((queue) => `arn:aws:sqs:eu-west-1:123456789012:${queue}`),
    logGroupArn: `arn:aws:logs:eu-west-1:123456789012:log-group:${told("MILLRACE_LOG_GROUP")}`,
  };
}

/** Of these calls those that a role may make (or may not). */
async function sorted(api: Api, role: Role, calls: readonly Call[]) {
  const policy = policyOf(api, role);
  const allowed: string[] = [];
  const denied: string[] = [];
  for (const call of calls)
    ((await isAllowed(policy, call)) ? allowed : denied).push(`${call.action} ${call.resource}`);
  return { allowed, denied };
}

describe.each(ROLES)("the %s of a BatchApi", (role) => {
  it.each(Object.keys(APIS) as readonly Api[])("may do in %s what it was seen to do", async (api) => {
    const { allowed, denied } = await sorted(api, role, recordedCalls(role, placeOf(api)));

    expect(denied).toEqual([]);
    expect(allowed.length).toBeGreaterThan(5);
  });

  it.each([
    ["photos", "photos-2"],
    ["photos-2", "photos"],
  ] as const)("of %s may do nothing of what anybody of %s does", async (api, other) => {
    const place = placeOf(other);
    const { allowed } = await sorted(
      api,
      role,
      ROLES.flatMap((each) => recordedCalls(each, place)),
    );

    expect(allowed).toEqual([]);
  });
});
