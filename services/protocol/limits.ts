/** A limit on everything that can grow or wait, with its reason. Tests stand on both sides of each. */

export const LIMITS = {
  /** As the predecessor's: larger datasets are given by address, not in the body. */
  requestBytesMax: 10 * 1024 * 1024,
  /** For a request's last byte to come; a project of the largest size takes that long at 1 Mbit/s. */
  requestSeconds: 300,
  /**
   * From a job id's draw to the marker that accepts the job; later it is given up for good, and what it left may be removed. No
   * request lasts so long, but a process may be frozen, and a client may repeat an idempotency key after days.
   */
  submissionSecondsMax: 24 * 3600,
  /** Containers in containers of a request body; Python's JSON reader, which gets the items, gives up near 1,000. */
  requestNestingMax: 500,
  /** Each item of `item_list` costs memory beside its bytes; more come by address. */
  inlineItemsMax: 1_000_000,
  /** Kubernetes names are made of the API's name and the job id, and end at 63. */
  apiNameCharactersMax: 42,
  workersMax: 10_000,
  /** Their names and versions stand in one record, which each deployment swaps. */
  hostedApisMax: 100,
  batchSizeMax: 1_000_000,
  /** Retries of one submitted job, of its retries, and so on: their results are merged, each from a stream of its own. */
  familyRetriesMax: 100,
  /** Failed attempts of a batch are a 31-bit set. */
  attemptsMax: 30,
  attemptsDefault: 3,
  /** Failed attempts in a row before a worker asks whether it is to blame: two in a row happen to every job with bad items. */
  sickRunMin: 3,
  /** Seconds in the handler that taking a batch apart gets at least: twice a short batch timeout would end before it is told apart. */
  isolationSecondsMin: 30,
  /** What it gets where no batch timeout says how long a batch may take; four times the batch's own time if that is more. */
  isolationSecondsDefault: 3600,
  /** The least time of some items that run alone: their share of the batch timeout says nothing of what each call costs. */
  isolationTimeoutSecondsMin: 1,
  /** Workers that may die over one batch's last attempt; four items in sixty-four that kill theirs take some thirty. */
  deathsOverBatchMax: 40,
  timeoutSecondsMax: 365 * 24 * 3600,
  batchTimeoutSecondsMax: 7 * 24 * 3600,
  priorityMin: -1000,
  priorityMax: 1000,
  labelsMax: 32,
  labelCharactersMax: 128,
  pathsMax: 10_000,
  /** Faults told of one body; more would only hide the first ones. */
  faultsMax: 50,
  /** Linux ends paths at 4,096 bytes; an S3 address needs less. */
  pathCharactersMax: 4_352,
  globsMax: 1_000,
  globCharactersMax: 1_024,
  idempotencyKeyCharactersMax: 255,
  /** One item travels through two processes' memory. */
  itemBytesMax: 1024 * 1024 * 1024,
  /** A log line longer than this is cut into several. */
  logLineBytesMax: 256 * 1024,
  /** Predecessor's rule for structured log lines: longer ones are dropped, with a line that says so. */
  structuredLogBytesMax: 5 * 1024 * 1024,
  /** Bytes a second and burst that one worker may log; what exceeds it is cut and counted. */
  logBytesPerSecond: 1024 * 1024,
  logBurstBytes: 8 * 1024 * 1024,
  /** Characters of a traceback or an error text that are kept: its end. */
  tracebackCharactersMax: 8_192,
  errorCharactersMax: 1_024,
  /** A results, errors or ledger part is sealed at this size and the next one begun. */
  partBytesMax: 4 * 1024 * 1024,
  /** A frame from a handler larger than this is garbage. */
  frameBytesMax: 2 * 1024 * 1024 * 1024 - 1,
  /**
   * Spans of a batch as its message carries them, JSON; longer ones stand in the split file alone. SQS takes messages of
   * 1 MiB, in which some characters take three times their bytes.
   */
  messageSpansBytesMax: 256 * 1024,
  /** A failed batch longer than this goes to its dead-letter queue as a pointer: SQS takes 1 MiB, attributes included. */
  deadLetterBytesMax: 1024 * 1024 - 1024,
  /** Unsettled pointers that the driver keeps in a lane. */
  lanePointersMax: 1_000_000,
  /** Project archives, as the predecessor's. */
  projectBytesMax: 32 * 1024 * 1024,
  /** More is a virtual environment or a dataset that was meant to stay out. */
  projectFilesMax: 10_000,
  /** Installing a handler's dependencies; PyTorch with CUDA over a slow line takes tens of minutes. */
  environmentSecondsMax: 3600,
  /** Builds of a version's environment that fail before its jobs do: package indexes have bad minutes. */
  environmentBuildsMax: 3,
  /** Containers of a user beside one worker; Kubernetes has no limit, but a mistake in a file must end somewhere. */
  containersMax: 10,
  /** How long an API may give its containers to get ready; models of hundreds of gigabytes take this long to load. */
  containerStartSecondsMax: 4 * 3600,
  /** An answer of a container with rows is held whole in the worker's memory, and looked through. */
  containerAnswerBytesMax: 256 * 1024 * 1024,
  /** Every request that brings a key is compared with each of them. */
  apiKeysMax: 1_000,
  /** As Kubernetes' Secrets, in which the file of keys travels. */
  apiKeysFileBytesMax: 1024 * 1024,
  /** Networks that callers may come from; as many as a security group has rules. */
  networksMax: 64,
  listPageMax: 1_000,
  jobsPageMax: 100,
} as const;
