/** A service with what a user has around it: projects, data, a client; and the proof at the end that all was well. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { openFileStore } from "../../services/backends/object-store.files.ts";
import { leftBehind, processesOf, startService, until, type RunningService, type ServiceOptions } from "./a-service.ts";
import { ApiUser } from "./api-user.ts";

/** The smallest `__init__` of a handler class. */
export const INIT = "    def __init__(self, config):\n        pass\n\n";
/** Echoes its items. */
export const ECHO = `class Handler:\n${INIT}    def handle_batch(self, payload):\n        return payload\n`;

/** What a laptop's pool gives a worker to leave by itself. */
const GRACE_SECONDS = 25;

export class SystemUnderTest extends ApiUser {
  /** The folder that jobs may read. */
  readonly inputs: string;
  service: RunningService;
  readonly #options: ServiceOptions;

  private constructor(folder: string, options: ServiceOptions, service: RunningService) {
    super(folder); // everything of this system lies under it
    this.inputs = join(folder, "inputs");
    this.#options = options;
    this.service = service;
  }

  static async start(options: Partial<ServiceOptions> = {}): Promise<SystemUnderTest> {
    const folder = await mkdtemp(join(tmpdir(), "millrace-system-"));
    const inputs = join(folder, "inputs");
    await mkdir(inputs);
    const whole = { root: join(folder, "root"), allow: [inputs], ...options };
    return new SystemUnderTest(folder, whole, await startService(whole));
  }

  /** Another service on the same root, after the first one ended. */
  async restart(): Promise<void> {
    this.service = await startService(this.#options);
  }

  request(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.service.address}${path}`, init);
  }

  async write(name: string, content: string | Buffer): Promise<string> {
    const path = join(this.inputs, name);
    await mkdir(join(path, ".."), { recursive: true });
    await writeFile(path, content);
    return path;
  }

  /** Every job submitted since the last call is final and keeps every invariant; none of its processes lives. */
  async proveAll(): Promise<void> {
    const store = await openFileStore({ root: join(this.service.root, "store") });
    await this.verifyAll(store);
    await store.close();
    // a worker that was just started when its job ended is killed after the pool's grace at the latest
    const isAlone = () => (this.#others().length === 0 ? true : undefined);
    await until("the jobs' processes to end", isAlone, GRACE_SECONDS + 10).catch(() => {
      if (this.#others().length > 0) throw new Error(`processes outlive their jobs:\n${this.#others().join("\n")}`);
    });
  }

  /** Stops the service; nothing may be left. */
  async end(): Promise<void> {
    try {
      if (!this.service.hasEnded()) expect(await this.service.stop(), this.service.said()).toBe(0);
      const left = await leftBehind(this.service.root);
      if (left.length > 0) throw new Error(`the service has ended and left:\n${left.join("\n")}`);
    } finally {
      for (const { pid } of processesOf(this.service.root)) process.kill(pid, "SIGKILL");
      await rm(this.folder, { recursive: true, force: true });
    }
  }

  #others(): readonly string[] {
    return processesOf(this.service.root)
      .filter(({ pid }) => pid !== this.service.pid)
      .map(({ pid, state, command }) => `${String(pid)} ${state} ${command}`);
  }
}
