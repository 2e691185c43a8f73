/** Judges a `BatchApi`'s arguments by their plain values, all faults at once, before anything is declared. */
import { apiNameFault, isReservedApiName } from "../../services/protocol/api-names.ts";
import { readAuth } from "../../services/protocol/auth.ts";
import { isEnvironmentName, isOwnEnvironmentName } from "../../services/protocol/api-spec.values.ts";
import { apiKeyNameFault } from "../../services/protocol/api-keys.ts";
import { LIMITS } from "../../services/protocol/limits.ts";
import { networkFault } from "../../services/protocol/networks.ts";
import type { Fault } from "../../services/protocol/problems.ts";
import {
  FOREVER,
  RETENTION_DAYS_MAX,
  RETENTION_DEFAULTS,
  retentionFault,
  retentionOf,
} from "../../services/protocol/retention.ts";
import type { BatchStore } from "../batch-store.ts";
import { logRetentionFault } from "../api-log-group.ts";
import { checkRightsSize } from "../api-rights.ts";
import { BATCH_API_DEFAULTS, type ApiAuth, type BatchApiArgs } from "../batch-api-args.ts";
import { datasetLocations, type DatasetLocation } from "../dataset-locations.ts";
import { Faults } from "../faults.ts";
import { LANES_MAX } from "../work-queue.ts";
import { checkedCompute } from "./checked-compute.ts";
import { checkedProject, type CheckedProject } from "./checked-project.ts";
import type { Compute } from "./worker-template.ts";

/** What the checks found out, for the declarations. */
export interface CheckedApi {
  readonly reads: readonly DatasetLocation[];
  readonly writes: readonly DatasetLocation[];
  /** Undefined: code is deployed. */
  readonly project: CheckedProject | undefined;
  /** As asked, with the GPU that a pinned project has on a GPU node unless it says otherwise. */
  readonly compute: Compute;
}

const ARGUMENTS = [
  ...["cluster", "code", "runsOn", "reads", "writes", "datasetKeyArns", "permissions", "env", "secrets", "compute"],
  ...["workersMax", "concurrentJobsMax", "deadLetterQueues", "alarmActions", "auth", "ingress", "image", "replicas"],
  ...["overrides", "createApis", "logRetentionDays", "retention", "tags"],
];
const REPLICAS_MAX = 10;

/** Throws `InputPropertyError` or `InputPropertiesError`. */
export function checkBatchApiArgs(api: string, args: BatchApiArgs): CheckedApi {
  const faults = new Faults(`BatchApi "${api}"`);
  faults.onlyKnown("", args, ARGUMENTS);
  checkName(api, args, faults);
  checkSizes(args, faults);
  checkRetention(args.retention, faults);
  checkEnvironment(args, faults);
  checkDoors(args, faults);
  checkImages(args, faults);
  const project = args.code.kind === "project" ? checkedProject(args.code.path, api, "code.path", faults) : undefined;
  if (args.code.kind === "deployed" && args.overrides !== undefined) {
    faults.add("overrides", "is for a pinned project; deployed code has its spec alone: leave it out");
  }
  const reads = datasetLocations("reads", args.reads ?? [], faults);
  const writes = datasetLocations("writes", args.writes ?? [], faults);
  checkRightsSize(faults, {
    ...{ api, queueName: `${api}-queue`, reads, writes, permissions: args.permissions ?? [] },
    lanes: Math.min(args.concurrentJobsMax ?? BATCH_API_DEFAULTS.concurrentJobsMax, LANES_MAX),
    deadLetterQueues: args.deadLetterQueues?.length ?? 0,
    datasetKeys: args.datasetKeyArns?.length ?? 0,
    ownKeys: args.cluster.store.kmsKeyArn !== undefined,
  });
  const compute = checkedCompute(args, project, faults);
  faults.throwIfAny();
  TAKEN.set(args.cluster.store, (TAKEN.get(args.cluster.store) ?? new Set()).add(api));
  return { reads, writes, project, compute };
}

/** Names of the APIs in each store of this program: their keys begin with them. */
const TAKEN = new WeakMap<BatchStore, Set<string>>();

function checkName(api: string, { cluster, runsOn = [] }: BatchApiArgs, faults: Faults): void {
  for (const [at, group] of runsOn.entries()) {
    if (group.cluster === cluster) continue;
    faults.add(`runsOn[${String(at)}]`, `(${group.groupName}) is of another cluster; name groups of this one`);
  }
  if (TAKEN.get(cluster.store)?.has(api) === true) {
    faults.add("name", `is "${api}", which another API of this store has; choose another`);
  }
  const fault = apiNameFault(api);
  if (fault !== undefined) faults.add("name", `is ${JSON.stringify(api)}, ${fault.found}; ${fault.fix}`);
  else if (isReservedApiName(api))
    faults.add("name", `is "${api}", a word of the service's own addresses; choose another`);
}

function checkSizes(args: BatchApiArgs, faults: Faults): void {
  faults.integer("workersMax", args.workersMax, { min: 1, max: LIMITS.workersMax });
  faults.integer("concurrentJobsMax", args.concurrentJobsMax, { min: 1, max: LANES_MAX });
  faults.integer("replicas", args.replicas, { min: 1, max: REPLICAS_MAX });
  faults.integer("createApis.namesMax", args.createApis?.namesMax, { min: 1, max: LIMITS.hostedApisMax });
  const { overrides = {}, logRetentionDays } = args;
  faults.onlyKnown("overrides", overrides, [
    ...["config", "env", "workers", "batchSize", "attempts", "isolate", "batchTimeoutSeconds"],
  ]);
  faults.integer("overrides.workers", overrides.workers, { min: 1, max: LIMITS.workersMax });
  faults.integer("overrides.batchSize", overrides.batchSize, { min: 1, max: LIMITS.batchSizeMax });
  faults.integer("overrides.attempts", overrides.attempts, { min: 1, max: LIMITS.attemptsMax });
  const timeouts = { min: 1, max: LIMITS.batchTimeoutSecondsMax };
  faults.integer("overrides.batchTimeoutSeconds", overrides.batchTimeoutSeconds, timeouts);
  const retention = logRetentionDays === undefined ? undefined : logRetentionFault(logRetentionDays);
  if (retention !== undefined) faults.add("logRetentionDays", retention);
}

function checkRetention(retention: BatchApiArgs["retention"] = {}, faults: Faults): void {
  faults.onlyKnown("retention", retention, ["resultsDays", "recordsDays"]);
  const days = (name: "resultsDays" | "recordsDays"): number | null | undefined => {
    const value = retention[name];
    if (value === undefined || value === FOREVER) return value === undefined ? undefined : null;
    if (Number.isInteger(value) && value >= 1 && value <= RETENTION_DAYS_MAX) return value;
    const range = `1 to ${RETENTION_DAYS_MAX.toLocaleString("en")}`;
    faults.add(
      `retention.${name}`,
      `is ${JSON.stringify(value)}; write a whole number of days from ${range}, or "${FOREVER}"`,
    );
    return undefined;
  };
  const [resultsDays, recordsDays] = [days("resultsDays"), days("recordsDays")];
  const asked = {
    ...(resultsDays === undefined ? {} : { resultsDays }),
    ...(recordsDays === undefined ? {} : { recordsDays }),
  };
  const fault = retentionFault(retentionOf(asked, RETENTION_DEFAULTS), {
    results: "it",
    records: "retention.recordsDays",
  });
  if (fault !== undefined) faults.add("retention.resultsDays", fault.replace(/^it /, ""));
}

function checkEnvironment({ env = {}, secrets = {}, overrides = {} }: BatchApiArgs, faults: Faults): void {
  for (const [property, variables] of Object.entries({ env, secrets, "overrides.env": overrides.env ?? {} })) {
    for (const variable of Object.keys(variables)) {
      if (!isEnvironmentName(variable)) {
        faults.add(
          `${property}.${variable}`,
          "is no name of an environment variable; use letters, digits and _, no digit first",
        );
      } else if (isOwnEnvironmentName(variable)) {
        faults.add(
          `${property}.${variable}`,
          "has a name of the service's own; begin neither with CORTEX_ nor with MILLRACE_",
        );
      }
    }
  }
  for (const variable of Object.keys(secrets).filter((each) => Object.hasOwn(env, each))) {
    faults.add(`secrets.${variable}`, "is in env as well; keep one of the two");
  }
}

function checkDoors({ auth, cluster, ingress = { kind: "none" } }: BatchApiArgs, faults: Faults): void {
  if (auth !== undefined) checkAuth(auth, faults);
  if (ingress.kind === "none") return;
  if (cluster.systemAutoScalingGroupName === undefined) {
    faults.add("ingress", "needs nodes to hand requests to; give the cluster's existing.systemAutoScalingGroupName");
  }
  if (auth === undefined) {
    faults.add(
      "ingress",
      'opens the doors to others, and no auth says who they are; add auth, such as { kind: "apiKeys", keys: […] }',
    );
  }
  if (ingress.scheme === "internetFacing" && cluster.loadBalancerSubnetIds.internetFacing === undefined) {
    const fix = "give the network's loadBalancerSubnets.internetFacing, or write internal";
    faults.add("ingress.scheme", `is internetFacing, and the cluster knows no subnets that face the internet; ${fix}`);
  }
  if (ingress.cidrs.length === 0)
    faults.add("ingress.cidrs", "is empty, so that nobody could call; name the networks that may");
  for (const [at, cidr] of ingress.cidrs.entries()) {
    const fault = cidr === "0.0.0.0/0" || cidr === "::/0" ? undefined : networkFault(cidr);
    if (fault !== undefined) faults.add(`ingress.cidrs[${String(at)}]`, `is ${fault.found}; ${fault.fix}`);
  }
  if (auth?.kind !== "network") return;
  if (ingress.scheme === "internetFacing") {
    faults.add(
      "auth",
      "is kind network on an internet-facing balancer, where addresses prove nothing; use apiKeys or jwt, or scheme internal",
    );
  }
  for (const [at, cidr] of ingress.cidrs.entries()) {
    if (!auth.cidrs.includes(cidr)) {
      faults.add(
        `ingress.cidrs[${String(at)}]`,
        `is ${cidr}, which auth.cidrs does not name; name it there, or leave it out here`,
      );
    }
  }
}

function checkAuth(auth: ApiAuth, faults: Faults): void {
  if (auth.kind !== "apiKeys") {
    const found: Fault[] = [];
    readAuth(auth, "auth", found);
    for (const fault of found) faults.add(fault.field, `is ${fault.found}; ${fault.fix}`);
    return;
  }
  if (auth.keys.length === 0)
    faults.add("auth.keys", "is empty, so that nobody could call; `millrace api-key NAME` makes one");
  if (auth.keys.length > LIMITS.apiKeysMax) {
    faults.add("auth.keys", `has ${String(auth.keys.length)} keys; keep at most ${String(LIMITS.apiKeysMax)}`);
  }
  for (const [at, key] of auth.keys.entries()) {
    const fault = apiKeyNameFault(key.name);
    if (fault !== undefined) faults.add(`auth.keys[${String(at)}].name`, `has ${fault.found}; ${fault.fix}`);
    if (key.scopes.length === 0) faults.add(`auth.keys[${String(at)}].scopes`, "is empty; write read, submit or admin");
    if (typeof key.sha256 === "string" && !/^[0-9a-f]{64}$/.test(key.sha256)) {
      const fix = "write 64 lower-case hex digits: the hash that `millrace api-key NAME` prints, never the key";
      faults.add(`auth.keys[${String(at)}].sha256`, `is no SHA-256; ${fix}`);
    }
  }
}

/** A version names its image for as long as a job runs on it: a tag could move meanwhile. */
function checkImages({ image = {} }: BatchApiArgs, faults: Faults): void {
  for (const [program, ref] of Object.entries(image)) {
    if (typeof ref === "string" && !/@sha256:[0-9a-f]{64}$/.test(ref)) {
      faults.add(`image.${program}`, `is "${ref}", whose content may change; name it by digest: repository@sha256:…`);
    }
  }
}
