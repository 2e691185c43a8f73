/** Ends the largest handler before the kernel ends the whole worker for want of memory. */
import type { Clock } from "../backends/clock.ts";
import type { MemoryGauge } from "../backends/memory-gauge.ts";
import type { Handler } from "./handlers/handler.ts";

/** The kernel kills at the limit, and the supervisor along with all handlers (`memory.oom.group`). */
const FULL_SHARE = 0.95;
const LOOK_MS = 100;

/** Looks until the signal aborts, which it rejects with; ends at once where there is no limit. `handlers`: those that live now. */
export async function watchMemory(
  { clock, memory }: { readonly clock: Clock; readonly memory?: MemoryGauge | undefined },
  handlers: () => readonly Handler[],
  signal: AbortSignal,
): Promise<void> {
  if (memory === undefined) return;
  for (;;) {
    const share = await memory.usedShare();
    if (share === undefined) return;
    const largest = share < FULL_SHARE ? undefined : await largestOf(memory, handlers());
    largest?.kill("out_of_memory");
    await largest?.ended; // its memory comes back with its end: another one must not go for that
    await clock.sleep(LOOK_MS, signal);
  }
}

async function largestOf(memory: MemoryGauge, handlers: readonly Handler[]): Promise<Handler | undefined> {
  let largest: { readonly handler: Handler; readonly bytes: number } | undefined;
  for (const handler of handlers) {
    if (handler.pid === undefined) continue; // it lives in a container of its own
    const bytes = await memory.groupBytes(handler.pid);
    if (bytes > (largest?.bytes ?? 0)) largest = { handler, bytes };
  }
  return largest?.handler;
}
