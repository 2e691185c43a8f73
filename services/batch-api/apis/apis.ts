/** APIs as objects in the store: their versions, their code, and which version new jobs get. */
import { EnvironmentFailed } from "../../backends/environments.ts";
import type { Environments } from "../../backends/environments.ts";
import type { ObjectStore } from "../../backends/object-store.ts";
import { sha256Hex } from "../../project/project-files.ts";
import type { ProjectFiles } from "../../project/project-files.ts";
import { apiNameFault, isReservedApiName } from "../../protocol/api-names.ts";
import type { ApiSpec, HandlerSpec } from "../../protocol/api-spec.ts";
import { apiVersion, encodeVersion } from "../../protocol/api-version.ts";
import {
  JOB_FORMAT,
  type ApiVersion,
  type CurrentVersion,
  type PodTemplate,
  type TemplateAge,
} from "../../protocol/jobs.ts";
import { API_PREFIX, apiKeys } from "../../protocol/keys.ts";
import type { CodeOwner } from "../../protocol/code-owner.ts";
import { Problem } from "../../protocol/problems.ts";
import { DamagedObject, parseStored, UnreadableObject } from "../../protocol/stored.ts";
import { readObject } from "../jobs/stored.ts";
import { readProject, readSpec } from "./deployed-project.ts";
import { putAgain } from "./put-again.ts";
import { codeKeys, needCode, readUnneeded } from "../janitor/unneeded-code.ts";
import { readCurrent, readCurrentToSwap, swapCurrent } from "./current.ts";
import type { ApiList, ApiService, ApiView, DamagedApi, Deployed } from "./api-service.ts";

export interface ApisOptions {
  readonly store: ObjectStore;
  readonly environments: Environments;
  /** Stops all jobs of an API and resolves when each has its final state. */
  readonly stopAllJobs: (api: string) => Promise<void>;
  /** What its workers can run; deploying anything else is refused. Default: Python classes only, as on a laptop. */
  readonly handlerKinds?: readonly HandlerSpec["kind"][];
  /** The one API that this service stands for; absent: any. */
  readonly only?: string;
  /** What a version's worker pods are made from, kept in the version; absent where workers are no pods. Throws `Problem`. */
  readonly podTemplate?: (spec: ApiSpec) => Promise<FittedTemplate>;
  /** Who says what code its APIs run; default: whoever deploys. */
  readonly owner?: CodeOwner;
}

/** The declared pod template, fitted to a spec. */
export interface FittedTemplate {
  readonly template: PodTemplate;
  readonly age: TemplateAge;
}

const VERSIONS_SHOWN = 20;
/** The one kind that only some services run. */
const KIND_REFUSED = {
  field: "pod",
  found: "containers, which only workers in a cluster run",
  fix: "deploy it to a cluster, or give a Python class: handler: {type: python, path: handler.py}",
};

/**
 * Everything is read from the store at each call, so that any replica answers alike.
 *
 *     const apis = new Apis({ store, environments, stopAllJobs });
 *     const { change, view } = await apis.deploy("word-count", archive, (sentence) => log(sentence));
 */
export class Apis implements ApiService {
  readonly #store: ObjectStore;
  readonly #environments: Environments;
  readonly #stopAllJobs: (api: string) => Promise<void>;
  readonly #handlerKinds: readonly HandlerSpec["kind"][];
  readonly #only: string | undefined;
  readonly #podTemplate: ApisOptions["podTemplate"];
  readonly #owner: CodeOwner;

  constructor(options: ApisOptions) {
    this.#store = options.store;
    this.#environments = options.environments;
    this.#stopAllJobs = options.stopAllJobs;
    this.#handlerKinds = options.handlerKinds ?? ["python"];
    this.#only = options.only;
    this.#podTemplate = options.podTemplate;
    this.#owner = options.owner ?? { kind: "deployed" };
  }

  async list(): Promise<ApiList> {
    const views: ApiView[] = [];
    const damaged: DamagedApi[] = [];
    for await (const api of this.#names()) {
      try {
        const view = await this.#find(api);
        if (view !== undefined) views.push(view);
      } catch (error) {
        damaged.push(damagedApi(api, error));
      }
    }
    return { views, damaged };
  }

  /** Names of all APIs that have jobs which are not final, or may get some: one that is being removed as well. */
  async withJobs(): Promise<readonly string[]> {
    const names: string[] = [];
    for await (const api of this.#names()) {
      const sign =
        (await this.#store.read(apiKeys(api).current)) ?? (await this.#firstKey(apiKeys(api).active, () => false));
      if (sign !== undefined) names.push(api);
    }
    return names;
  }

  async get(api: string): Promise<ApiView> {
    const view = await this.#find(api);
    if (view === undefined) throw noSuchApi(api);
    return view;
  }

  async deploy(api: string, archive: Buffer, progress: (sentence: string) => void): Promise<Deployed> {
    refuseName(api);
    this.#refuseOthers(api);
    this.#refusePinned(api, `change the project there, and run "pulumi up" on that stack`);
    const change = await this.#makeCurrent(api, await this.makeVersion(api, api, archive, progress));
    return { view: await this.get(api), change };
  }

  /** Makes a version of an API under another one's keys, or its own (`host`), which nothing names yet. */
  async makeVersion(
    host: string,
    api: string,
    archive: Buffer,
    progress: (sentence: string) => void,
  ): Promise<Omit<CurrentVersion, "generation">> {
    const files = await readProject(archive);
    const spec = readSpec(files, api, progress);
    if (!this.#handlerKinds.includes(spec.handler.kind)) throw new Problem("project_spec_invalid", "", [KIND_REFUSED]);
    const fitted = await this.#podTemplate?.(spec); // refuses at once, an environment after minutes
    const { writes } = await readUnneeded(this.#store, host);
    const environment = await this.#buildEnvironment(files, spec, progress);
    const project = sha256Hex(archive);
    const keys = apiKeys(host);
    const parts = { spec, project, environment, podTemplate: fitted?.template };
    const version = apiVersion(parts, await this.#store.now());
    const code = await needCode(this.#store, host, codeKeys(host, version), writes);
    if (code === "changed") await this.#buildEnvironment(files, spec, progress);
    await putAgain(this.#store, keys.project(project), archive, (stored) => sha256Hex(stored) === project);
    // A version that existed already keeps the time of its first deployment.
    const versionKey = keys.version(version.version);
    await putAgain(this.#store, versionKey, Buffer.from(encodeVersion(version)), (stored) =>
      isReadable(versionKey, stored),
    );
    const template = fitted === undefined ? {} : { template: fitted.age };
    return { version: version.version, ...template };
  }

  /** Lane records stay: an epoch that began anew at 1 would meet messages of the old ones. */
  async remove(api: string): Promise<void> {
    if (apiNameFault(api) !== undefined || this.#isOther(api)) throw noSuchApi(api);
    this.#refusePinned(api, `take it out of the program there, and run "pulumi up" on that stack`);
    const keys = apiKeys(api);
    const keep = (key: string) => key.startsWith(keys.lanes);
    const left = await this.#firstKey(keys.root, keep);
    if (left === undefined) throw noSuchApi(api);
    await this.#stopAllJobs(api);
    await this.#store.delete(keys.current);
    // Jobs that were accepted meanwhile; from here on no more are.
    await this.#stopAllJobs(api);
    // Code goes last: what a removal that was interrupted leaves can be removed by calling it again.
    for (const prefix of [keys.active, keys.ended, keys.jobs, keys.root]) await this.#deleteAll(prefix, keep);
  }

  /** Rights of this service may well reach further than its API: others are none of its business. */
  #isOther(api: string): boolean {
    return this.#only !== undefined && api !== this.#only;
  }

  #refuseOthers(api: string): void {
    if (!this.#isOther(api)) return;
    const detail = `This service stands for API ${JSON.stringify(this.#only)} alone; deploy to that name, or to another service.`;
    throw new Problem("not_allowed", detail);
  }

  #refusePinned(api: string, fix: string): void {
    if (this.#owner.kind !== "pinned") return;
    const detail = `The code of API ${JSON.stringify(api)} belongs to stack ${this.#owner.stack}: ${fix}.`;
    throw new Problem("code_is_pinned", detail);
  }

  async *#names(): AsyncGenerator<string> {
    if (this.#only !== undefined) {
      yield this.#only; // its rights end at its own keys
      return;
    }
    let after: string | undefined;
    do {
      // not by their keys: those of an API's ended jobs stand before the next one's name
      const { names, next } = await this.#store.folders(API_PREFIX, after === undefined ? {} : { after });
      yield* names;
      after = next;
    } while (after !== undefined);
  }

  async #find(api: string): Promise<ApiView | undefined> {
    if (apiNameFault(api) !== undefined || this.#isOther(api)) return undefined;
    const current = await readCurrent(this.#store, api);
    if (current === undefined) return undefined;
    const versions = await this.#versions(api, current.value.version);
    const version = versions.find((candidate) => candidate.version === current.value.version);
    if (version === undefined) throw new DamagedObject(apiKeys(api).version(current.value.version), "is gone");
    const shown = versions.slice(0, VERSIONS_SHOWN).map((v) => ({ version: v.version, created_at: v.created_at }));
    return { current: version, versions: shown };
  }

  /** Newest first. Of those without a time the current one counts as the newest: a stack has just made it so. */
  async #versions(api: string, current: string): Promise<ApiVersion[]> {
    const versions: ApiVersion[] = [];
    for await (const key of this.#keys(apiKeys(api).versions)) {
      const version = await readObject<ApiVersion>(this.#store, key, JOB_FORMAT).catch((error: unknown) => {
        if (error instanceof UnreadableObject && key !== apiKeys(api).version(current)) return undefined; // new jobs do without
        throw error;
      });
      if (version !== undefined) versions.push(version);
    }
    const age = (one: ApiVersion) => one.created_at ?? (one.version === current ? Infinity : 0);
    return versions.sort(
      (a, b) => Number(age(b) > age(a)) - Number(age(b) < age(a)) || (a.version < b.version ? -1 : 1),
    );
  }

  /** Swaps until it is so: of two deployments at once the later swap wins. */
  async #makeCurrent(api: string, next: Omit<CurrentVersion, "generation">): Promise<Deployed["change"]> {
    for (;;) {
      const before = await readCurrentToSwap(this.#store, api);
      if (before?.value?.version === next.version) return "unchanged";
      if (await swapCurrent(this.#store, api, next, before)) return before === undefined ? "created" : "updated";
    }
  }

  async #buildEnvironment(
    files: ProjectFiles,
    spec: ApiSpec,
    progress: (sentence: string) => void,
  ): Promise<string | null> {
    if (spec.handler.kind !== "python") return null; // an image brings its own
    try {
      return await this.#environments.build(files, spec.handler.dependencies, progress);
    } catch (error) {
      if (!(error instanceof EnvironmentFailed)) throw error;
      const tail = error.outputTail === "" ? "" : `\n${error.outputTail}`;
      throw new Problem("environment_failed", error.message + tail, [], { cause: error });
    }
  }

  async #firstKey(prefix: string, except: (key: string) => boolean): Promise<string | undefined> {
    for await (const key of this.#keys(prefix)) if (!except(key)) return key;
    return undefined;
  }

  async #deleteAll(prefix: string, except: (key: string) => boolean): Promise<void> {
    for await (const key of this.#keys(prefix)) if (!except(key)) await this.#store.delete(key);
  }

  async *#keys(prefix: string): AsyncGenerator<string> {
    let after: string | undefined;
    do {
      const page = await this.#store.list(prefix, after === undefined ? {} : { after });
      for (const entry of page.entries) yield entry.key;
      after = page.next;
    } while (after !== undefined);
  }
}

function isReadable(key: string, bytes: Buffer): boolean {
  try {
    parseStored(key, bytes, JOB_FORMAT);
    return true;
  } catch (error) {
    if (error instanceof UnreadableObject) return !(error instanceof DamagedObject);
    throw error;
  }
}

/** Throws on what is no damage. */
export function damagedApi(name: string, error: unknown): DamagedApi {
  if (!(error instanceof UnreadableObject)) throw error;
  return { name, message: `${error.message}.` };
}

export function noSuchApi(api: string): Problem {
  return new Problem(
    "api_not_found",
    `There is no API ${JSON.stringify(api.slice(0, 100))}; deploy it, or list those there are.`,
  );
}

export function refuseName(api: string): void {
  const fault = apiNameFault(api, "api");
  if (fault !== undefined) throw new Problem("project_invalid", "", [fault]);
  if (!isReservedApiName(api)) return;
  throw new Problem("name_reserved", `The name "${api}" is a word of the service's own addresses; choose another.`);
}
