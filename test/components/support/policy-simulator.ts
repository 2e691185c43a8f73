/** What IAM would say of a call, as far as policies decide it: a simulator reads them as AWS's documentation says that IAM does. */
import { runSimulation } from "@cloud-copilot/iam-simulate";

export interface PolicyDocument {
  readonly Version: string;
  readonly Statement: readonly Readonly<Record<string, unknown>>[];
}

/** A call as IAM sees it. */
export interface Call {
  readonly action: string;
  readonly resource: string;
  /** `s3:prefix`, `kms:ViaService` and what else a condition may ask for. */
  readonly context?: Readonly<Record<string, string>>;
}

const ACCOUNT = "123456789012";
const ROLE = `arn:aws:iam::${ACCOUNT}:role/simulated`;

/** As AWS makes it for a new key: the account's own policies decide. */
const KEY_POLICY = document({
  Effect: "Allow",
  Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` },
  Action: "kms:*",
  Resource: "*",
});

export function document(...Statement: PolicyDocument["Statement"]): PolicyDocument {
  return { Version: "2012-10-17", Statement };
}

/** Whether a role with this policy may make the call; nothing else allows it but a key's own policy. */
export async function isAllowed(policy: PolicyDocument, call: Call): Promise<boolean> {
  const resourcePolicy = call.action.startsWith("kms:") ? { resourcePolicy: KEY_POLICY } : {};
  return verdict(call, ROLE, { identityPolicies: [{ name: "policy", policy }], ...resourcePolicy });
}

/** Whether a role with this trust policy may be assumed by a principal, for example a service. */
export async function mayAssume(
  trust: PolicyDocument,
  principal: string,
  call: Omit<Call, "resource">,
): Promise<boolean> {
  const statements = trust.Statement.map((statement) => ({ ...statement, Resource: ROLE }));
  return verdict({ ...call, resource: ROLE }, principal, {
    identityPolicies: [],
    resourcePolicy: document(...statements),
  });
}

async function verdict(
  { action, resource, context = {} }: Call,
  principal: string,
  policies: Pick<Parameters<typeof runSimulation>[0], "identityPolicies" | "resourcePolicy">,
): Promise<boolean> {
  const answer = await runSimulation(
    {
      request: { principal, action, resource: { resource, accountId: ACCOUNT }, contextVariables: { ...context } },
      ...{ serviceControlPolicies: [], resourceControlPolicies: [], ...policies },
    },
    {},
  );
  if (answer.resultType === "error") throw new Error(`${action} on ${resource}: ${JSON.stringify(answer.errors)}`);
  return answer.overallResult === "Allowed";
}
