import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmdirSync, writeSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startService } from "../support/a-service.ts";
import { ECHO, INIT, SystemUnderTest } from "../support/a-system.ts";
import type { ProblemOnWire } from "../support/api-user.ts";

/** A tenth of a second and one line for each batch. */
const TALKER = `
import time
class Handler:
${INIT}    def handle_batch(self, payload):
        print("at", payload)
        time.sleep(0.1)
        return payload
`;

let system: SystemUnderTest;

beforeAll(async () => {
  system = await SystemUnderTest.start();
  expect((await system.deploy("talker", TALKER)).status).toBe(201);
});

afterEach(() => system.proveAll());
afterAll(() => system.end());

function manyItems(items: number): object {
  return { workers: 1, item_list: { items: Array.from({ length: items }, (_, at) => at), batch_size: 1 } };
}

describe("a second service", () => {
  it("on the same root is refused, and the first one goes on", async () => {
    await expect(startService({ root: system.service.root })).rejects.toThrow(
      /another service runs on this root.*--root/,
    );

    expect((await system.run("talker", manyItems(1))).state).toBe("succeeded");
  });

  it("on the same port is refused, and holds its root no longer", async () => {
    const port = Number(new URL(system.service.address).port);
    const root = join(system.folder, "second");

    await expect(startService({ root, port })).rejects.toThrow(new RegExp(`EADDRINUSE.*${String(port)}`));
    const second = await startService({ root });
    expect(await second.stop()).toBe(0);
  });
});

describe("a client that goes away in the middle of a stream", () => {
  it.each(["results?follow=true", "logs?follow=true", "errors?follow=true", "events"])(
    "harms nobody: %s",
    async (what) => {
      const job = await system.submit("talker", manyItems(10));
      const gone = new AbortController();
      const reply = await system.request(`/v1/apis/talker/jobs/${job.job_id}/${what}`, { signal: gone.signal });
      expect(reply.status).toBe(200);
      if (!what.startsWith("errors")) await reply.body?.getReader().read();
      gone.abort();

      expect((await system.ended(job)).state).toBe("succeeded");
      expect(await system.results(job)).toHaveLength(10);
    },
  );
});

describe("requirements that do not install", () => {
  it("refuse the deployment with pip's reason, and keep the version before", async () => {
    const requirements = { "handler.py": ECHO, "requirements.txt": "./not-there-1.0.whl\n" };
    await system.deploy("talker-too", ECHO);
    const reply = await system.deploy("talker-too", requirements);
    const problem = (await reply.json()) as ProblemOnWire;

    expect(problem).toMatchObject({ status: 422, code: "environment_failed" });
    expect(problem.detail).toContain("requirements.txt");
    expect(problem.detail).toContain("not-there-1.0.whl");
    expect((await system.run("talker-too", manyItems(2))).state).toBe("succeeded");
  });
});

describe("a stop of the service", () => {
  it("in the middle of a job hands everything back, and the next start finishes it", async () => {
    const job = await system.submit("talker", { ...manyItems(30), workers: 2 });
    await system.when(job, ({ items }) => items.succeeded >= 3);
    expect(await system.service.stop()).toBe(0);
    await system.restart();
    const ended = await system.ended(job);

    expect(ended).toMatchObject({ state: "succeeded", items: { succeeded: 30 }, attempts_failed: 0 });
  });

  it("of SIGKILL in the middle of a job leaves nothing that the next start does not end, and it finishes the job", async () => {
    const job = await system.submit("talker", { ...manyItems(30), workers: 2 });
    await system.when(job, ({ items }) => items.succeeded >= 3);
    system.service.kill("SIGKILL");
    await system.service.ended;
    await system.restart();

    expect(await system.ended(job)).toMatchObject({ state: "succeeded", items: { succeeded: 30 }, attempts_failed: 0 });
  });
});

describe("a full disk", () => {
  // It takes a file system of its own: nothing else can be filled without filling the machine's.
  it.runIf(mayMount())("ends the service with a sentence, and with room again it finishes the job", async () => {
    const disk = await mkdtemp(join(tmpdir(), "millrace-disk-"));
    mount(disk);
    try {
      const root = join(disk, "root");
      await mkdir(root);
      const small = await SystemUnderTest.start({ root, environment: { TMPDIR: disk } });
      await small.deploy("talker", TALKER);
      const job = await small.submit("talker", manyItems(60));
      await small.when(job, ({ items }) => items.succeeded >= 3);
      const full = join(disk, "full");
      fill(full);
      await small.service.ended;
      expect(small.service.said()).toContain("ENOSPC");
      expect(small.service.said()).toContain("free space there");
      await rm(full);
      await small.restart();

      expect(await small.ended(job, 60)).toMatchObject({ state: "succeeded", items: { succeeded: 60 } });
      await small.proveAll();
      await small.end();
    } finally {
      unmount(disk);
      await rm(disk, { recursive: true, force: true });
    }
  });
});

function mount(folder: string): void {
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], { stdio: "ignore" });
}

function unmount(folder: string): void {
  execFileSync("umount", ["-l", folder]);
}

function mayMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), "millrace-disk-"));
  try {
    mount(folder);
    unmount(folder);
    return true;
  } catch {
    return false; // not root, or in a container
  } finally {
    rmdirSync(folder);
  }
}

/** Takes all that is left of a disk. */
function fill(path: string): void {
  const file = openSync(path, "w");
  try {
    for (;;) writeSync(file, Buffer.alloc(4096));
  } catch {
    closeSync(file); // nothing is left: that was asked for
  }
}
