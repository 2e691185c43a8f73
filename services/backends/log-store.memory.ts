import { mergePage, positionsOf } from "./log-merge.ts";
import type { LineSource } from "./log-merge.ts";
import type { LogLine, LogPage, LogQuery, LogStore } from "./log-store.ts";

/** A `LogStore` in memory, for tests and simulation. */
export class MemoryLogStore implements LogStore {
  readonly #jobs = new Map<string, Map<string, LogLine[]>>();

  async append(job: string, worker: string, lines: readonly LogLine[]): Promise<void> {
    const workers = this.#jobs.get(job) ?? new Map<string, LogLine[]>();
    this.#jobs.set(job, workers);
    const written = workers.get(worker) ?? [];
    workers.set(worker, written);
    for (const line of lines) written.push({ ...line, worker });
  }

  async read(job: string, query: LogQuery): Promise<LogPage> {
    const positions = positionsOf(query.cursor);
    const sources = [...(this.#jobs.get(job) ?? [])]
      .filter(([worker]) => query.worker === undefined || query.worker === worker)
      .map(([worker, lines]) => new LinesSource(worker, lines, positions.get(worker) ?? 0));
    return await mergePage(sources, positions, query);
  }

  async remove(job: string): Promise<void> {
    this.#jobs.delete(job);
  }
}

class LinesSource implements LineSource {
  readonly worker: string;
  readonly #lines: readonly LogLine[];
  position: number;

  constructor(worker: string, lines: readonly LogLine[], position: number) {
    this.worker = worker;
    this.#lines = lines;
    this.position = position;
  }

  async head(): Promise<LogLine | undefined> {
    return this.#lines[this.position];
  }

  take(): void {
    this.position++;
  }
}
