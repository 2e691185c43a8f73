/** What the service is told by its environment variables in the cloud. */
import { integerOf, readCloudConfig, type CloudConfig, type Environment } from "../backends/cloud-config.ts";
import { apiNameFault, isReservedApiName } from "../protocol/api-names.ts";
import { decodeAuth } from "../protocol/auth.ts";
import { parseCodeOwner, type CodeOwner } from "../protocol/code-owner.ts";
import { ENV, Misconfigured } from "../protocol/environment.ts";
import { LIMITS } from "../protocol/limits.ts";
import { type Fault, faultSentence } from "../protocol/problems.ts";
import {
  FOREVER,
  RETENTION_DAYS_MAX,
  RETENTION_DEFAULTS,
  retentionFault,
  retentionOf,
  type Retention,
} from "../protocol/retention.ts";
import { DOORS_PORT, HEALTH_PORT } from "../protocol/service-pods.ts";
import type { ServiceAuth } from "./auth/open-auth.ts";

export interface ServiceConfig extends CloudConfig {
  /** The API that this service stands for. */
  readonly api: string;
  /** Kubernetes namespace of its workers. */
  readonly namespace: string;
  /** PodTemplate that new versions of the API copy. */
  readonly podTemplate: string;
  /** Who says what code the API runs. */
  readonly code: CodeOwner;
  /** Service account of the pods that build environments; undefined: the workers' own. */
  readonly builderServiceAccount: string | undefined;
  /** Workers that one job may have. */
  readonly workersMax: number;
  /** Further APIs that this one may be asked to host; 0: none. */
  readonly createApisMax: number;
  /** How long what ended jobs leave behind is kept. */
  readonly retention: Retention;
  /** How the doors tell who asks. */
  readonly auth: ServiceAuth;
  /** Where the doors listen: on all addresses of the pod, or on its loopback where `auth` is none. */
  readonly port: number;
  /** Where health and metrics listen, on all addresses of the pod. */
  readonly healthPort: number;
}

const PORT = { default: DOORS_PORT, min: 1, max: 65_535 } as const;
const HEALTH = { ...PORT, default: HEALTH_PORT } as const;

const WORKERS_MAX = { default: LIMITS.workersMax, min: 1, max: LIMITS.workersMax } as const;

const CREATE_APIS_MAX = { default: 0, min: 0, max: LIMITS.hostedApisMax } as const;

const NAMESPACE_CHARACTERS_MAX = 63;

/** Throws `Misconfigured`, with every fault. */
export function readServiceConfig(environment: Environment): ServiceConfig {
  const faults: string[] = [];
  const config = {
    ...readCloudConfig(environment, faults),
    api: apiOf(environment[ENV.api] ?? "", faults),
    namespace: namespaceOf(environment, faults),
    podTemplate: nameOf(environment, ENV.podTemplate, "the name of the API's PodTemplate", faults),
    code: codeOf(environment[ENV.code] ?? "", faults),
    builderServiceAccount: builderAccountOf(environment, faults),
    workersMax: integerOf(environment, ENV.workersMax, WORKERS_MAX, faults),
    createApisMax: integerOf(environment, ENV.createApisMax, CREATE_APIS_MAX, faults),
    retention: readRetention(environment, faults),
    auth: authOf(environment, faults),
    port: integerOf(environment, ENV.port, PORT, faults),
    healthPort: integerOf(environment, ENV.healthPort, HEALTH, faults),
  };
  if (config.port === config.healthPort) {
    faults.push(`${ENV.healthPort} is the port of the doors; give health and metrics another one`);
  }
  if (faults.length > 0) throw new Misconfigured(faults.join("\n"));
  return config;
}

function apiOf(api: string, faults: string[]): string {
  const fault = apiNameFault(api);
  if (api === "") faults.push(`${ENV.api} is not set; write the API's name`);
  else if (fault !== undefined) faults.push(`${ENV.api} is ${fault.found}; ${fault.fix}`);
  else if (isReservedApiName(api)) faults.push(`${ENV.api} is a word of the service's own addresses; choose another`);
  return api;
}

function namespaceOf(environment: Environment, faults: string[]): string {
  const namespace = nameOf(environment, ENV.namespace, "the namespace of the API's workers", faults);
  if (namespace.length <= NAMESPACE_CHARACTERS_MAX && !namespace.includes(".")) return namespace;
  faults.push(`${ENV.namespace} is no namespace: those have no dots and at most 63 characters; write the workers' own`);
  return namespace;
}

function codeOf(text: string, faults: string[]): CodeOwner {
  const owner = parseCodeOwner(text === "" ? "deployed" : text);
  if (owner !== undefined) return owner;
  faults.push(`${ENV.code} is neither deployed nor pinned:<stack>; write one of the two, without blanks`);
  return { kind: "deployed" };
}

function builderAccountOf(environment: Environment, faults: string[]): string | undefined {
  if ((environment[ENV.builderServiceAccount] ?? "") === "") return undefined;
  return nameOf(environment, ENV.builderServiceAccount, "the service account of builders, or leave it out", faults);
}

function readRetention(environment: Environment, faults: string[]): Retention {
  const resultsDays = daysOf(environment, ENV.resultsDays, faults);
  const recordsDays = daysOf(environment, ENV.recordsDays, faults);
  const asked = {
    ...(resultsDays === undefined ? {} : { resultsDays }),
    ...(recordsDays === undefined ? {} : { recordsDays }),
  };
  const retention = retentionOf(asked, RETENTION_DEFAULTS);
  const fault = retentionFault(retention, { results: ENV.resultsDays, records: ENV.recordsDays });
  if (fault !== undefined) faults.push(fault);
  return retention;
}

/** Undefined: not said. */
function daysOf(environment: Environment, name: string, faults: string[]): number | null | undefined {
  const text = environment[name] ?? "";
  if (text === "") return undefined;
  if (text === FOREVER) return null;
  const days = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (days >= 1 && days <= RETENTION_DAYS_MAX) return days;
  const range = `1 to ${String(RETENTION_DAYS_MAX)}`;
  faults.push(
    `${name} is neither a whole number of days from ${range} nor ${FOREVER}; write one of the two, or leave it out`,
  );
  return undefined;
}

function authOf(environment: Environment, faults: string[]): ServiceAuth {
  const found: Fault[] = [];
  const auth = decodeAuth(environment[ENV.auth] ?? "", ENV.auth, found);
  faults.push(...found.map(faultSentence));
  const file = environment[ENV.apiKeysFile] ?? "";
  if (auth.kind !== "apiKeys") {
    if (file === "" || found.length > 0) return auth;
    faults.push(`${ENV.apiKeysFile} is set, and ${ENV.auth} does not ask for keys; write {"kind": "apiKeys"} there`);
    return auth;
  }
  if (file === "")
    faults.push(`${ENV.apiKeysFile} is not set; write where the file with the hashes of keys is mounted`);
  else if (!file.startsWith("/")) faults.push(`${ENV.apiKeysFile} is no absolute path; write one that begins with /`);
  return { kind: auth.kind, file };
}

/** A name of a Kubernetes object: a DNS label or several joined by dots. */
function nameOf(environment: Environment, variable: string, what: string, faults: string[]): string {
  const name = environment[variable] ?? "";
  if (name === "") faults.push(`${variable} is not set; write ${what}`);
  else if (!/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(name)) {
    faults.push(`${variable} is no name that Kubernetes takes; write ${what}`);
  }
  return name;
}
