/** The seam for what workers and handlers say: files on a laptop, CloudWatch Logs in the cloud. Not part of the truth. */
export interface LogLine {
  /** Unix milliseconds of the writer's wall clock; for merging and showing only. */
  readonly at: number;
  /** The worker incarnation that said it, or `service`. */
  readonly worker: string;
  /** stdout and stderr of the handler, or a sentence of the worker itself. */
  readonly from: "handler" | "worker" | "service";
  /** The batch that ran, when one did. */
  readonly batch?: number;
  /** One line without its newline, at most LOG_LINE_BYTES_MAX bytes. */
  readonly text: string;
}

export interface LogQuery {
  /** Only lines of this worker. */
  readonly worker?: string;
  /** Go on after the lines already read: the cursor of an earlier page. */
  readonly cursor?: string;
  /** At most so many lines; default 1,000. */
  readonly linesMax?: number;
}

export interface LogPage {
  readonly lines: readonly LogLine[];
  /** For the next page; the same cursor again means that nothing is there yet. */
  readonly cursor: string;
}

/** A cursor that no page of this log answered. */
export class CursorInvalid extends RangeError {
  override readonly name = "CursorInvalid";

  constructor(options?: ErrorOptions) {
    super("cursor is not one of this log; use the cursor of an earlier page, or none", options);
  }
}

export interface LogStore {
  /** Appends lines of one worker, in their order. Best effort: resolves when handed to the backend. */
  append(job: string, worker: string, lines: readonly LogLine[]): Promise<void>;

  /** Lines of a job merged over its workers by time, each worker's own order kept; page after page reads each line once. Throws `CursorInvalid`. */
  read(job: string, query: LogQuery): Promise<LogPage>;

  /** Removes all lines of a job. */
  remove(job: string): Promise<void>;
}
