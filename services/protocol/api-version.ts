/**
 * The objects that say what an API runs: `versions/<version>.json` and `current.json`. A service writes them when code is
 * deployed to it, a stack when it owns the code; both come here, so that both write the same bytes under the same names.
 */
import { createHash } from "node:crypto";
import type { ApiSpec } from "./api-spec.ts";
import { JOB_FORMAT, type ApiVersion, type CurrentVersion, type PodTemplate, type TemplateAge } from "./jobs.ts";
import { LEDGER_FORMAT } from "./ledger.ts";

/** What a version is: nothing else counts for its name. */
export interface VersionParts {
  /** Resolved: with defaults, and with what a stack overrides. */
  readonly spec: ApiSpec;
  /** sha256 of the project's archive, 64 lower-case hex digits. */
  readonly project: string;
  /** Key of its environment; null: it needs none. */
  readonly environment: string | null;
  /** From `workerPods`; undefined where workers are no pods. */
  readonly podTemplate?: PodTemplate | undefined;
}

/** Half of a git hash's usual length is enough to tell the versions of one API apart. */
const VERSION_CHARACTERS = 12;

/** The same spec, code, environment and pods are the same version, in whatever order their fields stand. */
export function versionName({ spec, project, environment, podTemplate }: VersionParts): string {
  const parts = [spec, project, environment, ...(podTemplate === undefined ? [] : [podTemplate])];
  return createHash("sha256").update(canonicalJson(parts)).digest("hex").slice(0, VERSION_CHARACTERS);
}

/** `createdAt`: Unix milliseconds by the store's clock; null for a stack, which reads no clock. */
export function apiVersion(parts: VersionParts, createdAt: number | null): ApiVersion {
  const { spec, project, environment, podTemplate } = parts;
  return {
    ...{ format: JOB_FORMAT, api: spec.name, version: versionName(parts), spec, project, environment },
    ...{ worker_format: LEDGER_FORMAT, created_at: createdAt },
    ...(podTemplate === undefined ? {} : { pod_template: podTemplate }),
  };
}

/** The bytes of `versions/<version>.json`. */
export function encodeVersion(version: ApiVersion): string {
  return JSON.stringify(version);
}

/** The bytes of `current.json`. A stack writes generation 0, each deployment one more than was there. */
export function encodeCurrent({ version, generation, template }: CurrentVersion): string {
  return JSON.stringify({ version, generation, ...(template === undefined ? {} : { template }) });
}

/**
 * Whether one reading of the declared template is of a newer template than another: of an object that was made later, or of
 * the same one with a higher generation. A service only ever moves to a newer one, so replicas that read different objects
 * while they are rolled do not move an API to and fro.
 */
export function isNewerTemplate(one: TemplateAge, other: TemplateAge): boolean {
  if (one.made_at !== other.made_at) return one.made_at > other.made_at;
  return one.generation > other.generation;
}

/** Fields of every object by name: an API server and a program need not write them in one order. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_name, inner: unknown) => {
    if (typeof inner !== "object" || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
