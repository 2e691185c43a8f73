import type { Clock } from "../../backends/clock.ts";
import type { LaneRecord } from "../../protocol/lanes.ts";

/** Watches the beats of lanes that others own: whose beat stood still for a whole lease of our own clock is taken over. */
export class LaneWatch {
  readonly #clock: Clock;
  readonly #leaseMs: number;
  readonly #seen = new Map<string, { readonly mark: string; readonly sinceMs: number }>();

  constructor(clock: Clock, leaseMs: number) {
    this.#clock = clock;
    this.#leaseMs = leaseMs;
  }

  /** Call at each look at a lane that names a job which is not driven here; true: it may be taken over now. */
  mayTakeOver(api: string, lane: number, record: LaneRecord): boolean {
    if (record.owner === "") return true;
    const place = `${api}/${String(lane)}`;
    const mark = `${String(record.term)}/${String(record.beat)}/${String(record.writes)}`;
    const nowMs = this.#clock.monotonicMs();
    const seen = this.#seen.get(place);
    if (seen?.mark === mark) return nowMs - seen.sinceMs >= this.#leaseMs;
    this.#seen.set(place, { mark, sinceMs: nowMs });
    return false;
  }
}
