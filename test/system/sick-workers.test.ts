import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { SystemUnderTest } from "../support/a-system.ts";

/** Its first worker stands on a bad machine: there every batch fails as `config` says. */
const BAD_MACHINE = `
import os, time

class Handler:
    def __init__(self, config):
        self.how = config["how"]
        try:
            with open(config["marker"], "x") as marker:
                marker.write(str(os.getppid()))
        except FileExistsError:
            pass
        with open(config["marker"]) as marker:
            self.bad = marker.read() == str(os.getppid())
        print("up")

    def handle_batch(self, payload):
        if self.bad and self.how == "raises":
            raise RuntimeError("CUDA error: device-side assert triggered")
        if self.bad:
            os._exit(3)
        time.sleep(0.02)
        return payload
`;

const BROKEN = `
class Handler:
    def __init__(self, config):
        raise RuntimeError("no weights at /models")

    def handle_batch(self, payload):
        return payload
`;

/** Starts until the first batch has run; that takes its worker along. */
const STARTS_NO_MORE = `
import os, signal, time

class Handler:
    def __init__(self, config):
        if os.path.exists(config["gone"]):
            raise RuntimeError("the weights were removed")
        self.gone = config["gone"]

    def handle_batch(self, payload):
        open(self.gone, "w").close()
        time.sleep(0.2)
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
`;

const RAISING = `
class Handler:
    def __init__(self, config):
        pass

    def handle_batch(self, payload):
        raise ValueError("never")
`;

const ITEMS = Array.from({ length: 400 }, (_, index) => index);

let system: SystemUnderTest;

beforeAll(async () => {
  system = await SystemUnderTest.start();
  expect((await system.deploy("machines", BAD_MACHINE)).status).toBe(201);
  expect((await system.deploy("broken", BROKEN)).status).toBe(201);
  expect((await system.deploy("fleeting", STARTS_NO_MORE)).status).toBe(201);
  expect((await system.deploy("raising", RAISING)).status).toBe(201);
});

afterEach(() => system.proveAll());
afterAll(() => system.end());

describe("a worker on a bad machine", () => {
  it.each(["raises", "dies"])(
    "stands down where its handler %s: no item fails, and why it left is told",
    async (how) => {
      const config = { how, marker: join(system.folder, `marker-${how}`) };

      // with one attempt, whatever is charged to a batch is a failed item
      const job = await system.run("machines", {
        ...{ workers: 3, attempts: 1, isolate: false, config },
        item_list: { items: ITEMS, batch_size: 1 },
      });

      expect(job, JSON.stringify(job)).toMatchObject({ state: "succeeded", attempts_failed: 0 });
      expect(job.items).toMatchObject({ succeeded: 400, failed: 0 });
      expect(job.warnings).toHaveLength(1);
      expect(job.warnings[0]).toMatch(/^worker \d+-1-\d-\w+ stood down, charged nothing and is replaced: its last \d+ batches failed while other workers did \d+ of \d+ well; the last one: /); // prettier-ignore
      if (how === "raises") expect(job.warnings[0]).toContain("device-side assert");
      const up = (await system.logs(job)).filter(({ from, text }) => from !== "worker" && text.trim() === "up");
      const workers = new Set(up.map(({ worker }) => worker));
      expect(workers.size, "the three and the one that came after it").toBe(4);
    },
  );
});

describe("a handler that cannot start", () => {
  it("fails its job in less than a minute, with its traceback", async () => {
    const since = performance.now();
    const job = await system.run("broken", { workers: 3, item_list: { items: ITEMS, batch_size: 1 } }, 60);

    expect(job).toMatchObject({ state: "failed", reason: "worker_error", items: { succeeded: 0, failed: 0 } });
    expect(job.message).toContain("no weights at /models");
    expect(job.message).toContain("Traceback");
    expect(performance.now() - since).toBeLessThan(60_000);
  });
});

describe("a handler that cannot start any more", () => {
  it("fails its job in less than a minute after the last worker died", async () => {
    const config = { gone: join(system.folder, "gone") };
    const job = await system.run("fleeting", { workers: 2, config, item_list: { items: ITEMS, batch_size: 1 } }, 60);

    expect(job, JSON.stringify(job)).toMatchObject({ state: "failed", reason: "worker_error" });
    expect(job.message).toContain("the weights were removed");
    expect(job.message).toContain("Traceback");
  });
});

describe("a handler that fails every batch", () => {
  it("is no worker's fault: nobody stands down, and every attempt is charged", async () => {
    const job = await system.run("raising", { workers: 3, attempts: 2, isolate: false, item_list: { items: ITEMS, batch_size: 1 } }); // prettier-ignore

    expect(job).toMatchObject({ state: "completed_with_failures", attempts_failed: 800, items: { failed: 400 } });
    expect(job.warnings).toEqual([]);
  });
});
