/** How processes of ours end, so that pools, scripts and people can tell. */
export const WORKER_EXIT = {
  /** It was told to leave: stop, no more work, or its lane went on. */
  done: 0,
  /** A bug, or the world broke. */
  crashed: 1,
  /** Its environment variables or files do not let it start. */
  misconfigured: 64,
  /** The environment that it was to build cannot be installed as it is asked for (EX_DATAERR). */
  buildFailed: 65,
  /** Another process writes its ledger. */
  fenced: 70,
  /** The store broke (full disk, I/O error). */
  storeBroken: 74,
  /** It was drained: all is handed back (EX_TEMPFAIL). */
  drained: 75,
  /** SIGTERM ended it before it listened: it had nothing yet. */
  unheard: 143,
} as const;

/** How a service process in a cluster ends. */
export const SERVICE_EXIT = {
  /** It was asked to. */
  done: 0,
  /** Its environment variables do not let it start. */
  misconfigured: 64,
  /** Its loops stand still, or it broke: another replica goes on. */
  fatal: 70,
} as const;

/** Exit codes of the `millrace` command. */
export const CLI_EXIT = {
  /** All that was asked is so; of `run` and `watch`: every item succeeded. */
  ok: 0,
  /** Something unexpected. */
  failed: 1,
  /** Wrong usage: arguments, options, files. */
  usage: 2,
  /** The job ended, and some items failed. */
  itemsFailed: 3,
  /** The job failed, was stopped or timed out. */
  jobFailed: 4,
  /** No such job or API. */
  notFound: 5,
  /** The service cannot be reached, or something that it needs does not work now. */
  unreachable: 6,
  /** Detached by Ctrl-C; the job goes on. */
  detached: 130,
} as const;
