/** A memory store and a memory queue that tell in which order they were asked, and that a test may hold up or break. */
import { MemoryQueue } from "../../services/backends/batch-queue.memory.ts";
import type { BatchQueue } from "../../services/backends/batch-queue.ts";
import { MemoryStore } from "../../services/backends/object-store.memory.ts";
import type { ObjectStore } from "../../services/backends/object-store.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** Runs before a call takes effect, with its name: `append apis/…/ledger/…`, `ack digits/0`. It may wait, or throw. */
export type BeforeCall = (call: string) => Promise<void> | void;

export class WatchedWorld {
  readonly clock = new VirtualClock();
  /** What is really there. */
  readonly memory = new MemoryStore({ clock: this.clock });
  readonly lanes = new MemoryQueue({ clock: this.clock, leaseSeconds: 60 });
  /** Calls that change something, in the order of their effects. */
  readonly calls: string[] = [];
  /** Set it to hold calls up or to make them fail. */
  before: BeforeCall = () => undefined;
  /** Set it to lose the answers of calls that took effect. */
  after: BeforeCall = () => undefined;
  readonly store: ObjectStore = this.#watchStore();
  readonly queue: BatchQueue = this.#watchQueue();

  /** Calls whose name begins so. */
  callsOf(verb: string): string[] {
    return this.calls.filter((call) => call.startsWith(`${verb} `));
  }

  async #through<T>(name: string, call: () => Promise<T>): Promise<T> {
    await this.before(name);
    const answer = await call();
    this.calls.push(name);
    await this.after(name);
    return answer;
  }

  #watchStore(): ObjectStore {
    const { memory } = this;
    return {
      put: (key, bytes) => this.#through(`put ${key}`, () => memory.put(key, bytes)),
      get: (key, range) => this.#through(`get ${key}`, () => memory.get(key, range)),
      size: (key) => memory.size(key),
      read: (key) => this.#through(`read ${key}`, () => memory.read(key)),
      swap: (key, bytes, expected) => this.#through(`swap ${key}`, () => memory.swap(key, bytes, expected)),
      append: (key, bytes, offset) => this.#through(`append ${key}`, () => memory.append(key, bytes, offset)),
      sync: (keys) => this.#through(`sync ${keys.join(" ")}`, () => memory.sync(keys)),
      list: (prefix, options) => memory.list(prefix, options),
      folders: (folder, options) => memory.folders(folder, options),
      delete: (key) => this.#through(`delete ${key}`, () => memory.delete(key)),
      now: () => memory.now(),
    };
  }

  #watchQueue(): BatchQueue {
    const { lanes } = this;
    return {
      leaseSeconds: lanes.leaseSeconds,
      send: (lane, messages) => this.#through(`send ${lane}`, () => lanes.send(lane, messages)),
      receive: (lane, options) => this.#through(`receive ${lane}`, () => lanes.receive(lane, options)),
      extend: (lane, receipts) => this.#through(`extend ${lane}`, () => lanes.extend(lane, receipts)),
      ack: (lane, receipts) => this.#through(`ack ${lane}`, () => lanes.ack(lane, receipts)),
      release: (lane, receipts) => this.#through(`release ${lane}`, () => lanes.release(lane, receipts)),
      probe: (lane) => this.#through(`probe ${lane}`, () => lanes.probe()),
    };
  }
}
