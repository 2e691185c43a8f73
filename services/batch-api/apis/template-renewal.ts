/**
 * Code that was deployed stays; the pod template around it is the envelope's. When that is newer than the one in the API's
 * version, the same code becomes a new version with it, which new jobs get. Jobs that were accepted keep theirs.
 */
import type { V1PodTemplateSpec } from "@kubernetes/client-node";
import type { Clock } from "../../backends/clock.ts";
import type { DeclaredTemplate } from "../../backends/kubernetes/pod-templates.ts";
import type { ObjectStore } from "../../backends/object-store.ts";
import type { Dependencies } from "../../project/environment-key.ts";
import type { ProjectFiles } from "../../project/project-files.ts";
import type { ApiSpec } from "../../protocol/api-spec.ts";
import { apiVersion, encodeVersion, isNewerTemplate } from "../../protocol/api-version.ts";
import type { ApiVersion, PodTemplate, TemplateAge } from "../../protocol/jobs.ts";
import { apiKeys } from "../../protocol/keys.ts";
import type { DriverLog } from "../driver/context.ts";
import { codeKeys, needCode, readUnneeded } from "../janitor/unneeded-code.ts";
import { versionOf } from "../jobs/versions.ts";
import { readCurrent, swapCurrent, type StoredCurrent } from "./current.ts";
import { projectFilesOf } from "./stored-project.ts";

export interface TemplateRenewalOptions {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly log: DriverLog;
  /** Reads the template that the API's owner declared, each time anew. */
  readonly declared: () => Promise<DeclaredTemplate>;
  /** Fits it to a spec, for a version to keep. */
  readonly fit: (spec: ApiSpec, template: V1PodTemplateSpec) => PodTemplate;
  /** Makes the environment in the worker's image of that template, or finds it made; answers its key, null for none. */
  readonly build: (
    template: V1PodTemplateSpec,
    files: ProjectFiles,
    dependencies: Dependencies,
    progress: (sentence: string) => void,
    signal: AbortSignal,
  ) => Promise<string | null>;
}

/** A renewal that failed is tried again after so long, or when code or template are others. */
const PAUSE_MS = 600_000;

export class TemplateRenewal {
  readonly #options: TemplateRenewalOptions;
  /** By API: what could not be renewed, and until when it is let be. */
  readonly #paused = new Map<string, { readonly what: string; readonly untilMs: number }>();

  constructor(options: TemplateRenewalOptions) {
    this.#options = options;
  }

  /**
   * One look. First what is current is read, then the template: whoever moved the API meanwhile had read one that is no
   * newer than ours, and our swap is against what we read. Throws what building, reading and fitting throw.
   */
  async look(api: string, signal: AbortSignal): Promise<void> {
    const { store, clock, declared } = this.#options;
    const before = await readCurrent(store, api);
    if (before === undefined) return;
    const { template, age } = await declared();
    if (before.value.template !== undefined && !isNewerTemplate(age, before.value.template)) return;
    const what = JSON.stringify([before.value.version, age]);
    const paused = this.#paused.get(api);
    if (paused?.what === what && clock.monotonicMs() < paused.untilMs) return;
    this.#paused.set(api, { what, untilMs: clock.monotonicMs() + PAUSE_MS });
    await this.#renew(api, before, template, age, signal);
    this.#paused.delete(api);
  }

  async #renew(
    api: string,
    before: StoredCurrent,
    template: V1PodTemplateSpec,
    age: TemplateAge,
    signal: AbortSignal,
  ): Promise<void> {
    const { store, log, fit } = this.#options;
    const former = await versionOf(store, api, before.value.version);
    const { spec, project } = former;
    const podTemplate = fit(spec, template);
    const { writes } = await readUnneeded(store, api);
    const environment = await this.#environmentOf(api, former, template, signal);
    const next = apiVersion({ spec, project, environment, podTemplate }, await store.now());
    const code = await needCode(store, api, codeKeys(api, next), writes);
    if (code === "changed") await this.#environmentOf(api, former, template, signal);
    await store.put(apiKeys(api).version(next.version), Buffer.from(encodeVersion(next)));
    if (!(await swapCurrent(store, api, { version: next.version, template: age }, before))) return; // the next look sees why
    if (next.version === former.version) return;
    log.info({ api, from: former.version, to: next.version }, "new jobs get the pod template that is declared now");
  }

  async #environmentOf(
    api: string,
    former: ApiVersion,
    template: V1PodTemplateSpec,
    signal: AbortSignal,
  ): Promise<string | null> {
    const { handler } = former.spec;
    if (handler.kind !== "python" || former.environment === null) return null;
    const { store, log, build } = this.#options;
    const progress = (sentence: string) => {
      log.info({ api }, sentence);
    };
    return build(template, await projectFilesOf(store, api, former), handler.dependencies, progress, signal);
  }
}
