/** A job watched from outside, through restarts of its service. */
import type { Clock } from "../services/backends/clock.ts";
import { isFinal } from "../services/protocol/states.ts";
import { CLI_EXIT } from "../services/protocol/exit-codes.ts";
import type { Job } from "./bar.ts";
import { CliError } from "./cli-error.ts";
import { Unreachable, type Client } from "./client.ts";

export type Sighting =
  | { readonly kind: "job"; readonly job: Job }
  /** The service went away; it is asked again. */
  | { readonly kind: "lost" }
  | { readonly kind: "back" };

const AGAIN_MS = 500;
/** Longer than this a service is not away for a restart. */
const LOST_MS_MAX = 10 * 60 * 1000;

/** Ends behind the job's final state, or quietly when the signal aborts. */
export async function* followJob(
  client: Client,
  path: string,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<Sighting> {
  let lostMs: number | undefined;
  let streams = true;
  while (!signal.aborted) {
    try {
      for await (const job of streams ? eventsOf(client, path, signal) : once(client, path, signal)) {
        if (lostMs !== undefined) yield { kind: "back" };
        lostMs = undefined;
        yield { kind: "job", job };
        if (isFinal(job.state)) return;
      }
      streams = false; // an end without a final state: something between us does not let streams through
    } catch (error) {
      if (!isAway(error)) throw error;
      if (lostMs === undefined) yield { kind: "lost" };
      lostMs ??= clock.monotonicMs();
      if (clock.monotonicMs() - lostMs > LOST_MS_MAX) throw error;
      streams = true;
    }
    await clock.sleep(AGAIN_MS, signal).catch(() => undefined); // aborted: the loop ends
  }
}

function isAway(error: unknown): boolean {
  return error instanceof Unreachable || (error instanceof CliError && error.exitCode === CLI_EXIT.unreachable);
}

async function* once(client: Client, path: string, signal: AbortSignal): AsyncGenerator<Job> {
  const job = await client.json<Job | undefined>(path, { signal });
  if (job !== undefined) yield job;
}

/** The jobs of `event: job` of a stream of server-sent events (WHATWG HTML, 9.2.6). */
async function* eventsOf(client: Client, path: string, signal: AbortSignal): AsyncGenerator<Job> {
  let event = "";
  for await (const line of client.lines(`${path}/events`, { signal, headers: { accept: "text/event-stream" } })) {
    if (line.startsWith("event: ")) event = line.slice("event: ".length);
    if (line.startsWith("data: ") && event === "job") yield JSON.parse(line.slice("data: ".length)) as Job;
    if (line === "") event = "";
  }
}
