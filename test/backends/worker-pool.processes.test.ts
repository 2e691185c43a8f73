import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { spawn } from "node:child_process";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { realClock, realRandom } from "../../services/backends/clock.real.ts";
import { endLeftovers, killGroup, readProcessFile } from "../../services/backends/process-files.ts";
import { identify, isAlive } from "../../services/backends/process-identity.ts";
import { writeProcessFile } from "../../services/backends/process-files.ts";
import { ProcessPool } from "../../services/backends/worker-pool.processes.ts";
import { workerPoolContract, type WorkerManner } from "../contracts/worker-pool.contract.ts";

const MANNERS: Readonly<Record<WorkerManner, string>> = {
  polite: "process.on('SIGTERM', () => process.exit(75)); console.log('up'); setInterval(() => 0, 1000);",
  ends: "process.exit(3);",
  deaf: "process.on('SIGTERM', () => 0); console.log('up'); setInterval(() => 0, 1000);",
};
const NAME = { api: "api", job: "00000000000000aa", lane: 0, epoch: 2, generation: 0 };
const PROCESS_FILES = pathToFileURL(resolve("services/backends/process-files.ts")).href;

/** A worker with a handler in a group of its own, which forked a child of its own and one in yet another group. */
const WITH_HANDLER = `
  import { spawn } from "node:child_process";
  import { writeProcessFile } from ${JSON.stringify(PROCESS_FILES)};
  const { MILLRACE_ROOT: root, MILLRACE_INCARNATION: incarnation } = process.env;
  const handler = spawn("sh", ["-c", "sleep 300 & setsid sleep 301 & wait"], { detached: true, stdio: "ignore" });
  writeProcessFile(root, "2-0-0-" + incarnation, process.pid, [handler.pid]);
  console.log("up");
  setInterval(() => 0, 1000);`;

class Roots {
  root = "";
  lines: string[] = [];
  private heard: (() => void) | undefined;

  async open() {
    this.root = await mkdtemp(join(tmpdir(), "millrace-pool-"));
    this.lines = [];
  }

  pool(script: string, graceSeconds = 20): ProcessPool {
    return new ProcessPool({
      root: this.root,
      command: [process.execPath, "--input-type=module", "-e", script],
      clock: realClock,
      random: realRandom,
      environment: { PATH: process.env.PATH },
      graceSeconds,
      onOutput: (_, __, line) => {
        this.lines.push(line);
        this.heard?.();
      },
    });
  }

  async untilLines(count: number): Promise<void> {
    while (this.lines.length < count) await new Promise<void>((heard) => (this.heard = heard));
  }

  close(): Promise<void> {
    return rm(this.root, { recursive: true });
  }
}

workerPoolContract("ProcessPool", async (manner) => {
  const roots = new Roots();
  await roots.open();
  const pool = roots.pool(MANNERS[manner], manner === "deaf" ? 0.3 : 20);
  return {
    pool,
    untilUp: (workers) => roots.untilLines(workers),
    async close() {
      await pool.close();
      await roots.close();
    },
  };
});

describe("ProcessPool", () => {
  const roots = new Roots();
  let pool: ProcessPool;
  beforeEach(() => roots.open());
  afterEach(async () => {
    await pool.close();
    await roots.close();
  });

  it("says that a drained worker was disrupted", async () => {
    pool = roots.pool(MANNERS.polite);
    await pool.start(NAME, 1);
    await roots.untilLines(1);

    pool.drain((await pool.workers(NAME.job, 2))[0]?.worker ?? "");
    await pool.close();

    expect(await pool.workers(NAME.job, 2)).toMatchObject([{ exitCode: 75, disrupted: true }]);
  });

  it("tells its workers who they are", async () => {
    pool = roots.pool("console.log(JSON.stringify(process.env)); setInterval(() => 0, 1000);", 0.1);
    await pool.start(NAME, 1);
    await roots.untilLines(1);

    expect(JSON.parse(roots.lines[0] ?? "")).toMatchObject({
      MILLRACE_ROOT: roots.root,
      MILLRACE_API: "api",
      MILLRACE_JOB: NAME.job,
      MILLRACE_LANE: "0",
      MILLRACE_EPOCH: "2",
      MILLRACE_GENERATION: "0",
      MILLRACE_INDEX: "0",
      MILLRACE_SOCKET: join(roots.root, "service.sock"),
    });
  });

  it("kills what a killed worker's handlers forked, whatever group it moved to", async () => {
    pool = roots.pool(WITH_HANDLER);
    await pool.start(NAME, 1);
    await roots.untilLines(1);
    const worker = (await pool.workers(NAME.job, 2))[0]?.worker ?? "";
    const file = readProcessFile(roots.root, worker);
    await untilSleepers(2, worker);

    process.kill(file?.worker.pid ?? 0, "SIGKILL");
    await untilSleepers(0, worker);

    expect(file?.handlers.map(isAlive)).toEqual([false]);
    expect(existsSync(join(roots.root, "processes", `${worker}.json`))).toBe(false);
    expect((await pool.workers(NAME.job, 2))[0]).toMatchObject({ phase: "ended", signal: "SIGKILL" });
  });

  it("replaces a worker that died by a new incarnation of its index", async () => {
    pool = roots.pool("console.log('up'); setInterval(() => 0, 1000);");
    await pool.start(NAME, 2);
    await roots.untilLines(2);
    const worker = (await pool.workers(NAME.job, 2))[1]?.worker ?? "";

    process.kill(readProcessFile(roots.root, worker)?.worker.pid ?? 0, "SIGKILL");
    await roots.untilLines(3);

    const [first, dead, next] = await pool.workers(NAME.job, 2);
    expect([first?.phase, dead?.phase, next?.phase]).toEqual(["running", "ended", "running"]);
    expect([next?.index, next?.worker === worker]).toEqual([1, false]);
  });

  it("does not replace a worker that left by its own will", async () => {
    pool = roots.pool("console.log('done');");
    await pool.start(NAME, 1);
    await roots.untilLines(1);

    await expect.poll(() => pool.workers(NAME.job, 2)).toMatchObject([{ phase: "ended", exitCode: 0 }]);
    expect(roots.lines).toEqual(["done"]);
  });

  it("waits longer and longer before it starts a worker again that ends each time", async () => {
    pool = roots.pool("console.log('fails'); process.exit(1);");
    await pool.start(NAME, 1);
    await roots.untilLines(2);

    await expect.poll(async () => (await pool.workers(NAME.job, 2)).at(-1)?.waitingFor).toMatch(/ended 2 times/);
  });

  it("says so when the program cannot be started", async () => {
    pool = new ProcessPool({
      root: roots.root,
      command: ["/no/such/program"],
      clock: realClock,
      random: realRandom,
      environment: {},
      onOutput: (_, __, line) => roots.lines.push(line),
    });

    await pool.start(NAME, 1);
    await pool.close();

    expect(await pool.workers(NAME.job, 2)).toMatchObject([{ phase: "ended", exitCode: 64 }]);
    expect(roots.lines[0]).toMatch(/could not be started: ENOENT/);
  });

  it("forgets the oldest of very many generations that were stopped", async () => {
    const pool = roots.pool(MANNERS.ends);
    const names = Array.from({ length: 102 }, (_, at) => ({ ...NAME, job: String(at).padStart(16, "0") }));
    for (const name of names) {
      await pool.start(name, 0);
      await pool.stop(name.job, name.epoch);
    }
    await pool.start({ ...NAME, job: "first" }, 1);
    await pool.stop("first", NAME.epoch);

    expect(pool.generationsRemembered).toBe(100);
    expect(await pool.workers("first", NAME.epoch)).toHaveLength(1);
    await pool.close();
  });

  it("stops listening to a worker that prints without end", async () => {
    pool = roots.pool("for (let i = 0; i < 300_000; i++) console.log('x'.repeat(9));");
    await pool.start(NAME, 1);
    await pool.close();

    expect(roots.lines.join("").length).toBeLessThan(2 * 1024 * 1024);
  });
});

describe("endLeftovers", () => {
  const roots = new Roots();
  let pool: ProcessPool | undefined;
  beforeEach(() => roots.open());
  afterEach(async () => {
    await pool?.close();
    await roots.close();
  });

  it("ends frozen workers of a killed service with their handlers, and leaves no file", async () => {
    pool = roots.pool(WITH_HANDLER, 1);
    await pool.start(NAME, 1);
    await roots.untilLines(1);
    const worker = (await pool.workers(NAME.job, 2))[0]?.worker ?? "";
    process.kill(readProcessFile(roots.root, worker)?.worker.pid ?? 0, "SIGSTOP");
    await untilSleepers(2, worker);

    expect(await endLeftovers(roots.root, realClock)).toEqual([worker]);

    await untilSleepers(0, worker);
    expect(readProcessFile(roots.root, worker)).toBeUndefined();
  });

  it("never kills a process that only has the pid of a leftover", async () => {
    const innocent = spawn("sleep", ["300"], { detached: true, stdio: "ignore" });
    const identity = identify(innocent.pid ?? 0);
    writeProcessFile(roots.root, "1-0-0-abcd", innocent.pid ?? 0, []);
    const path = join(roots.root, "processes", "1-0-0-abcd.json");
    const reused = readFileSync(path, "utf8").replace(/"startTime":"\d+"/, '"startTime":"1"');
    await rm(path);
    await writeFile(path, reused);

    expect(await endLeftovers(roots.root, realClock)).toEqual([]);

    expect(identity !== undefined && isAlive(identity)).toBe(true);
    if (identity !== undefined) killGroup(identity);
  });

  it("has nothing to do in a new root", async () => {
    expect(await endLeftovers(join(roots.root, "none"), realClock)).toEqual([]);
  });
});

/** Waits until so many of the handler's forks live: the sleeps that carry the worker's incarnation. */
async function untilSleepers(count: number, worker: string): Promise<void> {
  const sleeps = () =>
    readdirSync("/proc").filter((pid) => {
      try {
        const mark = `MILLRACE_INCARNATION=${worker.slice(worker.lastIndexOf("-") + 1)}`;
        const isSleep = readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("sleep\0");
        return isSleep && readFileSync(`/proc/${pid}/environ`, "utf8").includes(mark);
      } catch {
        return false; // no process, or gone meanwhile
      }
    }).length;
  while (sleeps() !== count) await new Promise((wait) => setTimeout(wait, 5));
}
