/**
 * The frame protocol between a supervisor and a handler process (docs/handler-protocol.md), over file descriptor 3, a
 * connected stream socket. Little-endian. A frame is a 12-byte head, then `meta` (UTF-8 JSON, may be empty), then `body`:
 *
 *   u32 length of meta + body · u8 kind · u8 reserved (0) · u16 length of meta · u32 sequence
 *
 * The handler answers frames in the order in which they came, each with the sequence of what it answers. The supervisor
 * may send the next `run` before the former one is answered.
 *
 * Supervisor to handler:
 *   init      meta {}, body JSON `HandlerInit`. The first frame. Answered by ready or start_failed.
 *   run       meta `RunMeta`, body a JSON array of the items. Answered by done, failed or bad_items.
 *   complete  on_job_complete. Answered by done or failed.
 *   facts     answers `ask`: body JSON {"total_batch_count": n}.
 * Handler to supervisor:
 *   ready       meta {"hook": bool, "pid": n}.
 *   start_failed meta {"error": one sentence, "kind": "import" | "signature" | "init"}, body the traceback's text.
 *   done        meta {"rows": n | null}, body n lines `{"index":i,"result":…}\n` (none when the handler returned nothing).
 *   failed      meta {"cause": "raised" | "bad_answer" | "exited", "error": one sentence}, body the traceback's text.
 *   bad_items   the body of `run` is not a JSON array of `items` values; nothing was called.
 *   ask         the handler needs `total_batch_count`, which waits for the end of the split. Sequence of the frame in work.
 */
export const FRAME_HEAD_BYTES = 12;

export const FRAME_KIND = {
  init: 1,
  run: 2,
  complete: 3,
  facts: 4,
  ready: 64,
  start_failed: 65,
  done: 66,
  failed: 67,
  bad_items: 68,
  ask: 69,
} as const;

export interface HandlerInit {
  /** Absolute path of the unpacked project; cwd, and on sys.path. */
  readonly project: string;
  readonly path: string;
  readonly python_path: string | null;
  /** API config with the submission's config merged over it. */
  readonly config: Readonly<Record<string, unknown>>;
  /** `total_batch_count` is absent while the split runs; the host asks for it when it is read. */
  readonly job_spec: Readonly<Record<string, unknown>>;
  readonly log_level: string;
  /** Output markers: before each frame's work the host writes `\0<nonce> <sequence>\n` to its standard output. */
  readonly nonce: string;
  /** See ApiSpec.cortex_project. */
  readonly cortex_project: boolean;
}

export interface RunMeta {
  readonly batch_id: string;
  /** The batch that these items are a part of, where it is being taken apart. */
  readonly parent_id?: string;
  readonly items: number;
  /** From 1. */
  readonly attempt: number;
  /** Index in the job of the first item; the row of item k says `first + k`. */
  readonly first: number;
}
