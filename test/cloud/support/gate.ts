/** What a handler asks before each batch, so that a test can say how fast a job goes, where it waits, and when it ends. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { awaitWith } from "./cluster-process.ts";

/**
 * Echoes its items once the gate lets it. An item may say more: `hold` (a name that waits until the test opens it), `eat` (MiB of
 * memory that its handler then takes and keeps). The job's config names the gate.
 */
export const GATED_ECHO = `
import os, time, urllib.request

class Handler:
    def __init__(self, config):
        self.gate = config["gate"]
        self.index = os.environ["JOB_COMPLETION_INDEX"]
        self.open = False

    def ask(self, what):
        return urllib.request.urlopen(f"{self.gate}/{what}?index={self.index}", timeout=600).read()

    def handle_batch(self, payload):
        for item in payload:
            print("item", item["at"])
            if "hold" in item:
                self.ask("hold/" + item["hold"])
            elif not self.open:
                self.open = self.ask("pass") == b"open"
            if "eat" in item:
                self.eaten = b"x" * (item["eat"] << 20)
        return payload
`;

/** Starts closed: each batch waits its turn, and after so many of them nobody passes. */
export class Gate {
  readonly #server = createServer((request, response) => {
    this.#serve(request, response);
  });
  /** Passes given to each index, and who came to each hold in their order. */
  readonly #passed = new Map<number, number>();
  readonly #came = new Map<string, number[]>();
  readonly #held = new Map<string, ServerResponse[]>();
  readonly #opened = new Set<string>();
  readonly #waiting: (() => void)[] = [];
  #left: number;
  #timer: NodeJS.Timeout | undefined;

  private constructor(passesMax: number) {
    this.#left = passesMax;
  }

  /** @param passesMax batches that pass before `open`: fewer than the job has, so that it does not end meanwhile */
  static async start(perSecond: number, passesMax: number): Promise<Gate> {
    const gate = new Gate(passesMax);
    gate.#server.on("connection", (socket) => socket.on("error", () => undefined)); // handlers are killed
    await new Promise<void>((resolve) => gate.#server.listen(0, "127.0.0.1", resolve));
    gate.#timer = setInterval(() => {
      gate.#letOnePass();
    }, 1000 / perSecond);
    return gate;
  }

  /** For the job's `config`. */
  get config(): { readonly gate: string } {
    return { gate: `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}` };
  }

  /** Batches that a worker of that index began so far. */
  passed(index: number): number {
    return this.#passed.get(index) ?? 0;
  }

  get passes(): number {
    return [...this.#passed.values()].reduce((sum, passes) => sum + passes, 0);
  }

  /** Waits until so many batches have passed from now on. */
  async morePasses(count: number, seconds = 60): Promise<void> {
    const wanted = this.passes + count;
    await awaitWith(`${String(count)} more batches to pass`, [], () => this.passes >= wanted, seconds);
  }

  /** Indexes of the workers that came to that hold, once there are so many. */
  arrivals(hold: string, count = 1, seconds = 60): Promise<readonly number[]> {
    return awaitWith(
      `${String(count)} arrivals at ${hold}`,
      [],
      () => {
        const came = this.#came.get(hold) ?? [];
        return came.length >= count ? came : undefined;
      },
      seconds,
    );
  }

  openHold(hold: string): void {
    this.#opened.add(hold);
    for (const response of this.#held.get(hold) ?? []) response.end("open");
  }

  /** Everything passes from now on. */
  open(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const pass of this.#waiting.splice(0)) pass();
    for (const hold of this.#held.keys()) this.openHold(hold);
  }

  async stop(): Promise<void> {
    this.open();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get #isOpen(): boolean {
    return this.#timer === undefined;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", "http://gate");
    const index = Number(url.searchParams.get("index"));
    const hold = /^\/hold\/(.+)$/.exec(url.pathname)?.[1];
    if (hold === undefined) this.#awaitPass(index, response);
    else this.#hold(hold, index, response);
  }

  #hold(hold: string, index: number, response: ServerResponse): void {
    this.#came.set(hold, [...(this.#came.get(hold) ?? []), index]);
    if (this.#isOpen || this.#opened.has(hold)) response.end("open");
    else this.#held.set(hold, [...(this.#held.get(hold) ?? []), response]);
  }

  #awaitPass(index: number, response: ServerResponse): void {
    const pass = () => {
      this.#passed.set(index, this.passed(index) + 1);
      response.end(this.#isOpen ? "open" : "pass");
    };
    if (this.#isOpen) pass();
    else this.#waiting.push(pass);
    response.once("close", () => {
      const at = this.#waiting.indexOf(pass);
      if (at >= 0) this.#waiting.splice(at, 1);
    });
  }

  #letOnePass(): void {
    const pass = this.#left > 0 ? this.#waiting.shift() : undefined;
    if (pass === undefined) return;
    this.#left -= 1;
    pass();
  }
}
