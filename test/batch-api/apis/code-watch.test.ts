import { describe, expect, it } from "vitest";
import { MemoryStore } from "../../../services/backends/object-store.memory.ts";
import { CodeWatch } from "../../../services/batch-api/apis/code-watch.ts";
import { encodeCurrent } from "../../../services/protocol/api-version.ts";
import { apiKeys } from "../../../services/protocol/keys.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

function aWatch(renews: boolean) {
  const clock = new VirtualClock();
  const store = new MemoryStore({ clock });
  const asked: string[] = [];
  const warned: string[] = [];
  const faults = new Map<string, Error>();
  const waits = new Set<string>();
  const note = (what: string) => {
    asked.push(what);
    const fault = faults.get(what);
    if (fault !== undefined) throw fault;
  };
  const watch = new CodeWatch({
    ...{ store, clock },
    apis: () => Promise.resolve(["a", "b"]),
    log: { info: () => undefined, warn: (fields) => void warned.push(String(fields.err)) },
    environments: {
      readiness: async (api, version) => {
        note(`environment ${api} ${version}`);
        return waits.has(version) ? { kind: "waits", why: "it is being built" } : { kind: "ready" };
      },
    },
    ...(renews ? { renewal: { look: async (api: string) => note(`template ${api}`) } } : {}),
  });
  const end = new AbortController();
  const running = watch.run(end.signal).catch((error: unknown) => error);
  return {
    ...{ clock, asked, warned, faults, waits },
    async current(api: string, version: string) {
      const { current } = apiKeys(api);
      const there = await store.read(current);
      await store.swap(current, Buffer.from(encodeCurrent({ version, generation: 0 })), there?.version);
    },
    async end() {
      end.abort(new Error("over"));
      expect(await running).toMatchObject({ message: "over" });
      expect(clock.sleeping).toBe(0);
    },
  };
}

describe("CodeWatch", () => {
  it("asks for the environment of what is current as soon as a stack has moved it, and for no template of a stack's", async () => {
    const { clock, asked, current, end } = aWatch(false);
    await clock.advance(0);
    expect(asked).toEqual([]);

    await current("a", "v1");
    await clock.advance(15_000);
    await current("a", "v2");
    await clock.advance(15_000);

    expect(asked).toEqual(["environment a v1", "environment a v2"]);
    await end();
  });

  it("asks until the environment is there, and then no more", async () => {
    const { clock, asked, waits, current, end } = aWatch(false);
    await clock.advance(0);
    waits.add("v1");
    await current("a", "v1");
    await clock.advance(30_000);
    waits.clear();
    await clock.advance(60_000);

    expect(asked).toEqual(Array(3).fill("environment a v1"));
    await end();
  });

  it("looks after the template of deployed code", async () => {
    const { clock, asked, current, end } = aWatch(true);
    await clock.advance(0);
    await current("b", "v1");
    await clock.advance(15_000);

    expect(asked).toEqual(["environment b v1", "template b"]);
    await end();
  });

  it("says once what is wrong, keeps no other API from its look, and goes on", async () => {
    const { clock, asked, warned, faults, current, end } = aWatch(true);
    await current("a", "v1");
    await current("b", "v1");
    faults.set("environment a v1", new Error("the store does not answer"));
    await clock.advance(0);
    await clock.advance(30_000);
    expect(warned).toEqual(["Error: the store does not answer"]);
    expect(asked.filter((what) => what === "template b").length).toBeGreaterThan(1);

    faults.clear();
    await clock.advance(15_000);
    await current("a", "v2");
    faults.set("environment a v2", new Error("the store does not answer"));
    await clock.advance(15_000);

    expect(asked).toContain("template a");
    expect(warned).toHaveLength(2);
    await end();
  });
});
