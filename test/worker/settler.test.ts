import { describe, expect, it } from "vitest";
import { jobKeys } from "../../services/protocol/keys.ts";
import type { LedgerLine } from "../../services/protocol/ledger.ts";
import { parseLines } from "../../services/protocol/ledger.parse.ts";
import { Settler } from "../../services/worker/settler.ts";
import { aFailure, anIdentity, aSuccess } from "../support/a-worker.ts";
import { WatchedWorld } from "../support/watched-world.ts";

const identity = anIdentity();
const keys = jobKeys(identity.api, identity.job);
const LEDGER = keys.ledger(identity.name, 0);
const RESULTS = keys.results(identity.name, 0);
const ERRORS = keys.errors(identity.name, 0);

function aSettler(flushMs = 10): { world: WatchedWorld; settler: Settler } {
  const world = new WatchedWorld();
  const { store, queue, clock } = world;
  return { world, settler: new Settler({ store, queue, clock, flushMs }, identity) };
}

async function ledger(world: WatchedWorld): Promise<LedgerLine[]> {
  const found = await world.memory.get(LEDGER);
  return found === undefined ? [] : [...parseLines<LedgerLine>(found.bytes).lines];
}

const nothing = () => undefined;

/** A gate before calls whose name begins so: closed until `open` is called. */
function gate(world: WatchedWorld, name: string): () => void {
  let open: () => void = nothing;
  const opened = new Promise<void>((resolve) => (open = resolve));
  world.before = (call) => (call.startsWith(name) ? opened : undefined);
  return open;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe("the settler", () => {
  it("makes results durable, then the ledger, and only then acks", async () => {
    const { world, settler } = aSettler();

    settler.settle(aSuccess(0), "r0", nothing);
    settler.settle(aFailure(1), "r1", nothing);
    await settler.flush();

    expect(world.calls.slice(0, 2).sort()).toEqual([`append ${ERRORS}`, `append ${RESULTS}`]);
    expect(world.calls.slice(2)).toEqual([`append ${LEDGER}`, "ack digits/0"]);
  });

  it("writes no ledger line while its rows are not durable, and acks nothing before the ledger is", async () => {
    const { world, settler } = aSettler();
    const letResults = gate(world, "append apis/digits/jobs/e00000000000000a/results/");

    settler.settle(aSuccess(0), "r0", nothing);
    const flushed = settler.flush();
    await turn();
    expect(world.calls).toEqual([]);
    const letLedger = gate(world, `append ${LEDGER}`);
    letResults();
    await turn();
    expect(world.calls).toEqual([`append ${RESULTS}`]);
    letLedger();
    await flushed;

    expect(world.calls.at(-1)).toBe("ack digits/0");
  });

  it("never acks what could not be written down", async () => {
    const { world, settler } = aSettler();
    let acked = 0;
    world.before = (call) => {
      if (call.startsWith("append ") && call.includes("/ledger/")) throw new Error("disk full");
    };

    settler.settle(aSuccess(0), "r0", () => (acked += 1));

    await expect(settler.flush()).rejects.toThrow("disk full");
    expect(world.callsOf("ack")).toEqual([]);
    expect(acked).toBe(0);
  });

  it("says in the outcome where its rows and its errors lie", async () => {
    const { world, settler } = aSettler();

    settler.settle(aSuccess(0, "a\n"), "r0", nothing);
    settler.settle(aSuccess(1, "bcd\n"), "r1", nothing);
    settler.settle(aFailure(2), "r2", nothing);
    await settler.flush();

    const lines = (await ledger(world)).flatMap((line) => (line.t === "outcome" ? [line] : []));
    expect(lines.map(({ rows }) => rows)).toEqual([
      { part: 0, start: 0, end: 2, rows: 1 },
      { part: 0, start: 2, end: 6, rows: 1 },
      undefined,
    ]);
    const errors = lines[2]?.errors;
    const text = (await world.memory.get(ERRORS, { start: errors?.start ?? 0, end: errors?.end ?? 0 }))?.bytes;
    expect(JSON.parse(text?.toString() ?? "")).toMatchObject({ batch: 2, cause: "raised", items: [[2, 0, 0, 1]] });
  });

  it("begins its ledger with the line that names worker and format", async () => {
    const { world, settler } = aSettler();

    settler.note({ t: "ready", hook: false });
    await settler.flush();

    expect(await ledger(world)).toEqual([
      { t: "worker", format: 1, worker: identity.name },
      { t: "ready", hook: false },
    ]);
  });

  it("puts what comes during a flush into the next group, together", async () => {
    const { world, settler } = aSettler();
    const open = gate(world, `append ${LEDGER}`);

    settler.settle(aSuccess(0), "r0", nothing);
    const first = settler.flush();
    await turn();
    settler.settle(aSuccess(1), "r1", nothing);
    settler.settle(aSuccess(2), "r2", nothing);
    const second = settler.flush();
    open();
    await Promise.all([first, second]);

    expect(world.callsOf("append").filter((call) => call.includes("/ledger/"))).toHaveLength(2);
    expect((await ledger(world)).flatMap((line) => (line.t === "outcome" ? line.batch : []))).toEqual([0, 1, 2]);
  });

  it("flushes at its pace when nobody is in a hurry", async () => {
    const { world, settler } = aSettler(1000);
    settler.note({ t: "ready", hook: false });
    await settler.flush();

    settler.settle(aSuccess(0), "r0", nothing);
    void settler.flushSoon();
    await world.clock.advance(999);
    expect(world.callsOf("ack")).toEqual([]);
    await world.clock.advance(1);

    expect(world.callsOf("ack")).toHaveLength(1);
  });

  it("hurries a flush that waits for its turn", async () => {
    const { world, settler } = aSettler(1000);
    settler.note({ t: "ready", hook: false });
    await settler.flush();

    settler.settle(aSuccess(0), "r0", nothing);
    void settler.flushSoon();
    await turn();
    await settler.flush();

    expect(world.callsOf("ack")).toHaveLength(1);
    expect(world.clock.sleeping).toBe(0);
  });

  it("goes on after it was asked to flush nothing", async () => {
    const { world, settler } = aSettler();

    await settler.flushSoon();
    settler.settle(aSuccess(0), "r0", nothing);
    await world.clock.advance(1000);
    await settler.flushSoon();

    expect(world.callsOf("ack")).toHaveLength(1);
  });

  it("has acked what was handed in before, when a flush resolves", async () => {
    const { world, settler } = aSettler();
    const open = gate(world, "ack");
    settler.settle(aSuccess(0), "r0", nothing);
    void settler.flushSoon();
    await turn();

    let resolved = false;
    const flushed = settler.flush().then(() => (resolved = true));
    await turn();
    expect(resolved).toBe(false);
    open();
    await flushed;

    expect(world.callsOf("ack")).toHaveLength(1);
  });

  it("tells each caller once that its delivery is acked", async () => {
    const { settler } = aSettler();
    const acked: number[] = [];

    settler.settle(aSuccess(0), "r0", () => acked.push(0));
    settler.settle(aSuccess(1), "r1", () => acked.push(1));
    await settler.flush();
    await settler.flush();

    expect(acked).toEqual([0, 1]);
  });

  it("writes everything down, and acks nothing, when the queue is gone", async () => {
    const { world, settler } = aSettler();

    settler.settle(aSuccess(0), "r0", nothing);
    await settler.flushUnacked();

    expect(await ledger(world)).toMatchObject([{ t: "worker" }, { t: "outcome", batch: 0 }]);
    expect(world.callsOf("ack")).toEqual([]);
  });
});
