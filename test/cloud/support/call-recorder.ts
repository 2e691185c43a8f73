/**
 * What service, workers and builders ask of S3, SQS and CloudWatch Logs while tests run: noted at the proxies as IAM sees it, without
 * what differs from run to run. `test/components/fixtures/recorded-calls.json` holds all that was ever seen; unit tests show that the
 * policies allow exactly these calls.
 */
import { writeFileSync } from "node:fs";
import { readRecordedCalls, RECORDED_CALLS_FILE, ROLES, type Role } from "../../components/support/recorded-calls.ts";
import { DATA_BUCKET, LOG_GROUP, STORE_BUCKET, type CloudServers } from "./cloud-servers.ts";
import { headerOf, type ProxiedRequest } from "./faults.ts";

/** Set: what is new is written into the fixture. */
const RECORD = "MILLRACE_TEST_RECORD_CALLS";

/** What the SDK adds to its user agent, so that a request tells who sent it. */
const APP_ID = "AWS_SDK_UA_APP_ID";
export const SERVICE_MARK = { [APP_ID]: "service" };
/** Only workers are told an epoch: in a builder's pod Kubernetes leaves the reference as it is. */
export const WORKER_MARK = { [APP_ID]: "worker-$(MILLRACE_EPOCH)" };

/** Each call of a batch is authorised as the call for one. */
const SQS_ACTIONS: Readonly<Record<string, string>> = {
  SendMessageBatch: "SendMessage",
  DeleteMessageBatch: "DeleteMessage",
  ChangeMessageVisibilityBatch: "ChangeMessageVisibility",
};
const BUCKETS: Readonly<Record<string, string>> = { [STORE_BUCKET]: "store", [DATA_BUCKET]: "data" };

/** What differs from run to run, as keys name it. Of a pair the first that fits counts. */
const SHAPES: readonly (readonly [RegExp, string])[] = [
  [/^apis\/[^/]+\//, "apis/{api}/"],
  [/\/(jobs|active)\/[0-9a-f]{16}/, "/$1/{job}"],
  [/\/ended\/([^/]+)\/[0-9a-f]{16}/, "/ended/$1/{job}"],
  [/\/keys\/[^/]+/, "/keys/{sha256}"],
  [/\/versions\/[^/]+/, "/versions/{version}.json"],
  [/\/projects\/[^/]+/, "/projects/{sha256}.tar.gz"],
  [/\/environments\/[^/]+\//, "/environments/{environment}/"],
  [/\{environment\}\/[^/]+-\d{8}/, "{environment}/{builder}-{number}"],
  [/\/lanes\/\d+/, "/lanes/{lane}"],
  [/\/(ledger|results|errors)\/[^/]+-\d{8}/, "/$1/{worker}-{number}"],
  [/\/(isolation\/\d{8})\/\d+-\d+-\d+/, "/$1/{range}"],
  [/\/parts\/[^/]+/, "/parts/{part}"],
  [/\d{8}/g, "{number}"],
];

export class CallRecorder {
  readonly #seen: Readonly<Record<Role, Set<string>>> = { service: new Set(), worker: new Set(), builder: new Set() };

  readonly #record: boolean;

  /** Hears of every request from now on. `record`: what is unknown is written into the fixture. */
  constructor(
    { proxies: { s3, sqs, logs } }: Pick<CloudServers, "proxies">,
    record = process.env[RECORD] !== undefined,
  ) {
    this.#record = record;
    const hear = (callsOf: (request: ProxiedRequest) => readonly string[]) => (request: ProxiedRequest) => {
      const role = roleOf(request);
      if (role !== undefined) for (const call of callsOf(request)) this.#seen[role].add(call);
    };
    s3.onRequest = hear(s3Calls);
    sqs.onRequest = hear(sqsCalls);
    logs.onRequest = hear(logCalls);
  }

  /**
   * Calls that the fixture does not hold, with who made them. Where `MILLRACE_TEST_RECORD_CALLS` is set they are written into it instead:
   * then look at what changed, and whether the roles should have these rights.
   */
  unknown(): readonly string[] {
    const known = readRecordedCalls();
    if (this.#record) {
      const all = ROLES.map((role) => [role, [...new Set([...known[role], ...this.#seen[role]])].sort()] as const);
      writeFileSync(RECORDED_CALLS_FILE, `${JSON.stringify(Object.fromEntries(all), null, 2)}\n`);
      return [];
    }
    return ROLES.flatMap((role) =>
      [...this.#seen[role]].filter((call) => !known[role].includes(call)).map((call) => `${role}: ${call}`),
    );
  }

  /** How many different calls of a role were heard of: none is a recorder that hears nothing. */
  heard(role: Role): number {
    return this.#seen[role].size;
  }
}

/** Undefined: a test's own request. */
function roleOf({ rawHeaders }: ProxiedRequest): Role | undefined {
  const [, mark] = /(?:^| )app\/(\S+)/.exec(headerOf(rawHeaders, "user-agent")) ?? [];
  if (mark === undefined) return undefined;
  if (mark === "service") return "service";
  return /^worker-\d+$/.test(mark) ? "worker" : "builder";
}

/** Buckets are part of the path here. */
function s3Calls({ method, path, rawHeaders }: ProxiedRequest): readonly string[] {
  const url = new URL(path, "http://s3");
  const [, bucket = "", key = ""] = /^\/([^/]+)\/?([^]*)$/.exec(decodeURIComponent(url.pathname)) ?? [];
  const where = `${BUCKETS[bucket] ?? bucket} ${shapeOf(key)}`;
  const asked = [...url.searchParams.keys()].filter((name) => name !== "x-id");
  if (method === "GET" && url.searchParams.get("list-type") === "2" && key === "") {
    const prefix = url.searchParams.get("prefix") ?? "";
    return [`s3:ListBucket ${BUCKETS[bucket] ?? bucket} ${shapeOf(prefix)}`];
  }
  if (asked.length > 0) return [`${method} ${where} ${asked.join("&")}`]; // nothing that we are known to ask
  switch (method) {
    case "GET":
    case "HEAD":
      return [`s3:GetObject ${where}`];
    case "DELETE":
      return [`s3:DeleteObject ${where}`];
    case "PUT": {
      // whoever writes on a condition looks at what is there when the answer is lost; S3 asks for the same where an ETag must match
      const conditional = ["if-match", "if-none-match"].some((name) => headerOf(rawHeaders, name) !== "");
      return [`s3:PutObject ${where}`, ...(conditional ? [`s3:GetObject ${where}`] : [])];
    }
    default:
      return [`${method} ${where}`];
  }
}

function sqsCalls({ operation, path, body }: ProxiedRequest): readonly string[] {
  const { QueueUrl: url = path } = JSON.parse(body.toString() || "{}") as { readonly QueueUrl?: string };
  const queue = url.slice(url.lastIndexOf("/") + 1);
  return [`sqs:${SQS_ACTIONS[operation] ?? operation} ${queue.replace(/^lane-\d+$/, "lane")}`];
}

function logCalls({ operation, body }: ProxiedRequest): readonly string[] {
  const asked = JSON.parse(body.toString() || "{}") as { readonly logGroupName?: string };
  const { logGroupName: group = "" } = asked;
  return [`logs:${operation} ${group === LOG_GROUP ? "group" : group}`];
}

function shapeOf(key: string): string {
  return SHAPES.reduce((shape, [found, written]) => shape.replace(found, written), key);
}
