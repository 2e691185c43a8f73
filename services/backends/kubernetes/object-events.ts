import type { CoreV1Api, CoreV1Event } from "@kubernetes/client-node";
import type { Clock } from "../clock.ts";
import type { ApiCalls } from "./api-calls.ts";

/** Events of one object are listed at most this often. */
const AGE_MS = 10_000;
/** Objects whose events are kept; those asked for longest ago go first. */
const OBJECTS_MAX = 200;
const EVENTS_MAX = 100;

interface Known {
  readonly askedMs: number;
  events: readonly CoreV1Event[];
}

/** What was told about single objects. Only explains; nothing is decided by it, so it is fetched behind the caller's back. */
export class ObjectEvents {
  readonly #core: CoreV1Api;
  readonly #calls: ApiCalls;
  readonly #clock: Clock;
  readonly #namespace: string;
  readonly #known = new Map<string, Known>();

  constructor(core: CoreV1Api, calls: ApiCalls, clock: Clock, namespace: string) {
    this.#core = core;
    this.#calls = calls;
    this.#clock = clock;
    this.#namespace = namespace;
  }

  /** What is known now of an object; asks anew, for a later call, when that is old. */
  of(uid: string): readonly CoreV1Event[] {
    const known = this.#known.get(uid);
    const nowMs = this.#clock.monotonicMs();
    if (known !== undefined && nowMs - known.askedMs < AGE_MS) return known.events;
    const asked: Known = { askedMs: nowMs, events: known?.events ?? [] };
    this.#known.delete(uid);
    this.#known.set(uid, asked);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= OBJECTS_MAX) break;
      this.#known.delete(oldest);
    }
    void this.#ask(uid, asked);
    return asked.events;
  }

  async #ask(uid: string, known: Known): Promise<void> {
    const fieldSelector = `involvedObject.uid=${uid}`;
    const namespace = this.#namespace;
    const limit = EVENTS_MAX;
    try {
      const list = () => this.#core.listNamespacedEvent({ namespace, fieldSelector, limit });
      known.events = (await this.#calls.ask("list", "events", list, 1)).items;
    } catch {
      // words without events are poorer, not wrong; an API server that is gone is heard of elsewhere
    }
  }
}
