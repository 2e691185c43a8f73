/** A sign of life for work that says little: on a terminal, the seconds that it has taken. */
import type { Cli, Sink } from "./cli.ts";
import { duration } from "./amounts.ts";
import { LiveLines } from "./live-lines.ts";
import { paintFor } from "./paint.ts";
import { whenAborted } from "./when-aborted.ts";

/** What is done sooner needs none. */
const QUIET_MS = 2_000;
const STEP_MS = 1_000;

/**
 * Runs `work`, which says sentences; they stand dim in lines of their own on `sink`. Undefined when the signal aborted
 * before its end: then it is left to itself.
 */
export async function withElapsed<T>(
  cli: Cli,
  sink: Sink,
  work: (say: (sentence: string) => void) => Promise<T>,
  signal: AbortSignal,
): Promise<T | undefined> {
  const paint = paintFor(sink, cli.environment);
  const lines = new LiveLines(sink);
  const ended = new AbortController();
  const ticking = sink.isTerminal && cli.environment["TERM"] !== "dumb" ? tick(cli, lines, ended.signal) : undefined;
  try {
    const working = work((sentence) => {
      if (!ended.signal.aborted) lines.say(paint("dim", `  ${sentence}`));
    });
    working.catch(() => undefined); // it may end badly after the abort; before, the race throws
    return await Promise.race([working, whenAborted(signal)]);
  } finally {
    ended.abort();
    await ticking;
    lines.clear();
  }
}

async function tick(cli: Cli, lines: LiveLines, signal: AbortSignal): Promise<void> {
  const startMs = cli.clock.monotonicMs();
  for (let waitMs = QUIET_MS; ; waitMs = STEP_MS) {
    await cli.clock.sleep(waitMs, signal).catch(() => undefined); // aborted: looked at next
    if (signal.aborted) return;
    lines.draw([`  … ${duration(Math.floor((cli.clock.monotonicMs() - startMs) / 1000)).replace(".0 s", " s")}`]);
  }
}
