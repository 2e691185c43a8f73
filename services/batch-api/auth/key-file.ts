/** The file of API keys' hashes, kept up with: a mounted Secret changes under a running process. */
import { readFile, stat } from "node:fs/promises";
import type { Clock } from "../../backends/clock.ts";
import { parseApiKeys, type ApiKeyLine } from "../../protocol/api-keys.ts";
import { Misconfigured } from "../../protocol/environment.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { faultSentence } from "../../protocol/problems.ts";

interface KeyFileLog {
  warn(sentence: string): void;
  info(sentence: string): void;
}

export interface KeyFileOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly log: KeyFileLog;
  /** Told at the start and at each change. */
  readonly onKeys: (keys: readonly ApiKeyLine[]) => void;
}

/** Kubernetes itself takes about a minute to bring a changed Secret. */
const EVERY_MS = 5_000;

/**
 * Reads the file again every 5 s. It is read and not watched: a mounted Secret is swapped by a symbolic link, of which a
 * watcher of the file hears nothing. A file that cannot be read or has faults changes nothing, and is said once.
 */
export class KeyFile {
  readonly #options: KeyFileOptions;
  /** Text of the last look, or what was wrong with it. */
  #last: string | undefined;

  constructor(options: KeyFileOptions) {
    this.#options = options;
  }

  /** The first look. Throws `Misconfigured` with all faults. */
  async open(): Promise<void> {
    const { path } = this.#options;
    const text = await read(path).catch((error: unknown) => {
      throw new Misconfigured(`${path} cannot be used (${wordsOf(error)}); mount the file of API keys there`);
    });
    const { keys, faults } = parseApiKeys(text);
    if (faults.length > 0)
      throw new Misconfigured(faults.map((fault) => `${path}: ${faultSentence(fault)}`).join("\n"));
    this.#last = text;
    this.#take(keys);
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#options.clock.sleep(EVERY_MS, signal);
      await this.look();
    }
  }

  /** Looks once whether it has changed. */
  async look(): Promise<void> {
    const { path, log } = this.#options;
    const text = await read(path).catch((error: unknown) => ({ why: wordsOf(error) }));
    const seen = typeof text === "string" ? text : text.why;
    if (seen === this.#last) return;
    this.#last = seen;
    if (typeof text !== "string") {
      log.warn(`${path} cannot be used (${text.why}): the API keys stay as they were`);
      return;
    }
    const { keys, faults } = parseApiKeys(text);
    if (faults.length > 0) {
      log.warn(`${path}: ${faults.map(faultSentence).join(" ")} The API keys stay as they were.`);
      return;
    }
    this.#take(keys);
    log.info(`${path} has changed: ${countOf(keys)} from now on`);
  }

  #take(keys: readonly ApiKeyLine[]): void {
    const { path, log, onKeys } = this.#options;
    onKeys(keys);
    if (keys.length === 0) log.warn(`${path} holds no key: nobody is let in; \`millrace api-key NAME\` makes one`);
  }
}

function countOf({ length }: readonly unknown[]): string {
  return `${String(length)} API key${length === 1 ? " counts" : "s count"}`;
}

async function read(path: string): Promise<string> {
  const { size } = await stat(path);
  const most = LIMITS.apiKeysFileBytesMax;
  if (size > most) throw new Error(`it has ${String(size)} bytes, and may have ${String(most)}`);
  return readFile(path, "utf8");
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error ? String(error.code) : error.message;
}
