/** The job service: each verb in its own file, glued here. */
import type { Clock } from "../../backends/clock.ts";
import type { LogStore } from "../../backends/log-store.ts";
import { isFinal } from "../../protocol/states.ts";
import { accept, type AcceptDeps } from "./accept.ts";
import { checkDeadLetters, listSources } from "./acceptance-checks.ts";
import { followLogs, watchJob } from "./events.ts";
import { familyErrors, familyResults } from "./family.ts";
import type { JobService } from "./job-service.ts";
import { listJobs } from "./listing.ts";
import { jobErrors, jobResults } from "./results.ts";
import { acceptRetry } from "./retry.ts";
import { readState } from "./state-record.ts";
import { askStop } from "./stop.ts";
import { currentVersion } from "./versions.ts";
import { readSpec, viewJob, type ViewDeps } from "./view.ts";

export interface JobServiceDeps extends AcceptDeps, ViewDeps {
  readonly clock: Clock;
  readonly logs: LogStore;
  /** Tells the driver of this process that a job came, or that a stop was asked for; it would find out by itself, later. */
  readonly poke: (api: string, job: string) => void;
}

/**
 * The service over a store that any number of replicas share.
 *
 *     const jobs = createJobService({ store, dataset, logs, clock, random, lanes: 2, live: drivers.live, poke: drivers.poke });
 *     const view = await jobs.submit("digits", submission, { principal: "local" });
 */
export function createJobService(deps: JobServiceDeps): JobService {
  const { store, clock } = deps;
  return {
    async submit(api, submission, options) {
      const spec = await accept(deps, api, submission, options);
      deps.poke(api, spec.job);
      return viewJob(deps, api, spec.job);
    },
    async dryRun(api, submission, { hosted } = { hosted: false }) {
      const { input } = submission;
      if (!hosted) await currentVersion(store, api);
      checkDeadLetters(submission, deps.sendsDeadLetters === true);
      return input.kind === "item_list" ? { uris: [], objects: 0 } : listSources(deps.dataset, input);
    },
    get: (api, job) => viewJob(deps, api, job),
    async list(api, query) {
      if (query.hosted === undefined) await currentVersion(store, api);
      return listJobs(deps, api, query);
    },
    async retry(api, job, request, options) {
      const spec = await acceptRetry(deps, api, job, request, options);
      deps.poke(api, spec.job);
      return viewJob(deps, api, spec.job);
    },
    async stop(api, job) {
      await askStop(store, api, job);
      deps.poke(api, job);
      return viewJob(deps, api, job);
    },
    async *results(api, job, options) {
      const spec = await readSpec(store, api, job);
      yield* options.family === true ? familyResults(deps, spec, options.signal) : jobResults(deps, spec, options);
    },
    async *errors(api, job, options) {
      const spec = await readSpec(store, api, job);
      yield* options.family === true ? familyErrors(deps, spec, options.signal) : jobErrors(deps, spec, options);
    },
    async logs(api, job, query) {
      await readSpec(store, api, job);
      return deps.logs.read(job, query);
    },
    async *followLogs(api, job, query, signal) {
      await readSpec(store, api, job);
      const hasEnded = async () => isFinal((await readState(store, api, job)).state.state);
      yield* followLogs({ clock, logs: deps.logs, hasEnded }, job, query, signal);
    },
    events: (api, job, signal) =>
      watchJob({ clock, view: () => viewJob(deps, api, job), isLive: () => deps.live(api, job) !== undefined }, signal),
  };
}
