/**
 * Environments of versions that nobody deployed here: a stack wrote them, and this service is the first that can build. A job of
 * such a version waits in words while its environment is made, and fails in the installer's words when it cannot be.
 */
import type { Clock } from "../../backends/clock.ts";
import { environmentEnd } from "../../backends/environment-archive.ts";
import { EnvironmentFailed } from "../../backends/environments.ts";
import type { ObjectStore } from "../../backends/object-store.ts";
import { Unwell } from "../../backends/unwell.ts";
import { ProjectInvalid, type ProjectFiles } from "../../project/project-files.ts";
import type { ApiVersion } from "../../protocol/jobs.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { CodeReadiness, DriverLog } from "../driver/context.ts";
import { versionOf } from "../jobs/versions.ts";
import { projectFilesOf } from "./stored-project.ts";

export interface VersionEnvironmentsOptions {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly log: DriverLog;
  /**
   * Makes the environment that a version names, or finds it made; any number of replicas at once share one build. Throws
   * `EnvironmentFailed`, or `Unwell`.
   */
  readonly make: (
    version: ApiVersion,
    files: ProjectFiles,
    progress: (sentence: string) => void,
    signal: AbortSignal,
  ) => Promise<void>;
  /** Ends the builds that are under way here; what the cluster has begun goes on. */
  readonly signal: AbortSignal;
}

type Build =
  | { readonly kind: "building"; readonly failures: number; said: string }
  | { readonly kind: "paused"; readonly failures: number; readonly why: string; readonly untilMs: number };

const READY: CodeReadiness = { kind: "ready" };
/** After the first build that failed; twice as long after each later one. */
const RETRY_MS = 30_000;
/** After the last one: jobs that come meanwhile fail at once, and one that comes later has it tried anew. */
const GIVEN_UP_MS = 600_000;
/** What it leans on did not answer: that is no failure of a build. */
const UNWELL_MS = 15_000;

export class VersionEnvironments {
  readonly #options: VersionEnvironmentsOptions;
  /** By API and version: builds under way, and those that failed. */
  readonly #builds = new Map<string, Build>();

  constructor(options: VersionEnvironmentsOptions) {
    this.#options = options;
  }

  /** Begins a build when there is neither an environment nor a build; never waits for one. */
  async readiness(api: string, version: string): Promise<CodeReadiness> {
    const { store, clock } = this.#options;
    const place = placeOf(api, version);
    const known = this.#builds.get(place);
    if (known?.kind === "building") return told(known);
    if (known !== undefined && clock.monotonicMs() < known.untilMs) return told(known);
    const found = await versionOf(store, api, version);
    const key = found.environment;
    if (found.pod_template === undefined) return READY; // of a laptop: the pool says what is wrong with it
    if (key === null || (await environmentEnd({ store, api, key })) !== undefined) {
      this.#builds.delete(place);
      return READY;
    }
    const failures = known === undefined || known.failures >= LIMITS.environmentBuildsMax ? 0 : known.failures;
    // Asked by two jobs at once, the second of them finds the build of the first.
    const begun = this.#builds.get(place);
    return told(begun?.kind === "building" ? begun : this.#begin(api, found, failures));
  }

  #begin(api: string, version: ApiVersion, failures: number): Build {
    const { store, log, make, signal, clock } = this.#options;
    const place = placeOf(api, version.version);
    const build: Build = { kind: "building", failures, said: "it is being built" };
    this.#builds.set(place, build);
    const said = (sentence: string) => {
      build.said = sentence;
    };
    void (async () => {
      try {
        await make(version, await projectFilesOf(store, api, version), said, signal);
        this.#builds.delete(place);
      } catch (error) {
        this.#builds.delete(place);
        if (signal.aborted) return;
        log.warn({ api, version: version.version, err: error }, "an environment could not be built");
        this.#builds.set(place, paused(error, failures, clock.monotonicMs()));
      }
    })();
    return build;
  }
}

function placeOf(api: string, version: string): string {
  return `${api}/${version}`;
}

function paused(error: unknown, failures: number, nowMs: number): Build {
  const why = wordsOf(error);
  if (error instanceof Unwell) return { kind: "paused", failures, why, untilMs: nowMs + UNWELL_MS };
  const now = failures + 1;
  const pauseMs = now >= LIMITS.environmentBuildsMax ? GIVEN_UP_MS : RETRY_MS * 2 ** failures;
  return { kind: "paused", failures: now, why, untilMs: nowMs + pauseMs };
}

function told(build: Build): CodeReadiness {
  if (build.kind === "building") return { kind: "waits", why: `workers wait for their environment: ${build.said}` };
  if (build.failures >= LIMITS.environmentBuildsMax) return { kind: "failed", why: `its environment: ${build.why}` };
  return { kind: "waits", why: `workers wait for their environment, which is tried again soon: ${build.why}` };
}

/** What a person can mend is told in its words; anything else is for the log. */
function wordsOf(error: unknown): string {
  if (error instanceof EnvironmentFailed) {
    return error.message + (error.outputTail === "" ? "" : `\n${error.outputTail}`);
  }
  if (error instanceof Unwell || error instanceof ProjectInvalid) return error.message;
  return "it could not be built, for a reason that stands in the service's log";
}
