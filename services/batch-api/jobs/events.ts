/** A job watched: its view at once, at each change, and when it ended. */
import type { Clock } from "../../backends/clock.ts";
import type { LogLine, LogQuery, LogStore } from "../../backends/log-store.ts";
import { isFinal } from "../../protocol/states.ts";
import type { JobView } from "./job-service.ts";

/** A change is told after at most so long. */
const LOOK_MILLISECONDS = 100;
/** Without a driver in this process each look costs requests to the store. */
const REMOTE_LOOK_MILLISECONDS = 500;

export interface WatchDeps {
  readonly clock: Clock;
  readonly view: () => Promise<JobView>;
  /** True while a driver in this process knows the job. */
  readonly isLive: () => boolean;
}

/** Ends with the final view, or quietly when the signal aborts. */
export async function* watchJob(deps: WatchDeps, signal: AbortSignal): AsyncGenerator<JobView> {
  let told = "";
  while (!signal.aborted) {
    const view = await deps.view();
    const text = JSON.stringify(view);
    if (text !== told) yield view;
    told = text;
    if (isFinal(view.state)) return;
    if (!(await pause(deps.clock, deps.isLive() ? LOOK_MILLISECONDS : REMOTE_LOOK_MILLISECONDS, signal))) return;
  }
}

export interface FollowDeps {
  readonly clock: Clock;
  readonly logs: LogStore;
  readonly hasEnded: () => Promise<boolean>;
}

/** All lines, and new ones as they come, until the job has ended and all was read. */
export async function* followLogs(
  deps: FollowDeps,
  job: string,
  query: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  let { cursor } = query;
  while (!signal.aborted) {
    // Asked before the read, or lines written between the two would be missed.
    const ended = await deps.hasEnded();
    const page = await deps.logs.read(job, cursor === undefined ? query : { ...query, cursor });
    yield* page.lines;
    const moved = page.cursor !== cursor;
    cursor = page.cursor;
    if (page.lines.length > 0 && moved) continue;
    if (ended || !(await pause(deps.clock, REMOTE_LOOK_MILLISECONDS, signal))) return;
  }
}

/** False when the signal aborted meanwhile. */
export async function pause(clock: Clock, milliseconds: number, signal: AbortSignal): Promise<boolean> {
  try {
    await clock.sleep(milliseconds, signal);
    return true;
  } catch (error) {
    // The sleep rejects with the signal's reason; anything else is no abort.
    if (signal.aborted) return false;
    throw error;
  }
}
