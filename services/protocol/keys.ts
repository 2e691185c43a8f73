/** Every object key, said once. All keys of an API stand under its own prefix, so that rights can be narrowed to it. */

export const API_PREFIX = "apis/";

/** Keys of one API. `<api>` is a DNS label. */
export function apiKeys(api: string) {
  const root = `${API_PREFIX}${api}/`;
  return {
    root,
    /** Record: the version that new jobs get. */
    current: `${root}current.json`,
    /** Record: further APIs that stand under this one's keys, by name. */
    hosted: `${root}hosted.json`,
    versions: `${root}versions/`,
    version: (version: string) => `${root}versions/${version}.json`,
    projects: `${root}projects/`,
    project: (sha256: string) => `${root}projects/${sha256}.tar.gz`,
    /** Objects of an environment that a builder made: what it was asked for, its parts, and last its end. */
    environmentRequest: (environment: string) => `${root}environments/${environment}/request.tar.gz`,
    environments: `${root}environments/`,
    environmentParts: (environment: string) => `${root}environments/${environment}/`,
    environmentPart: (environment: string, builder: string, part: number) =>
      `${root}environments/${environment}/${builder}-${numbered(part)}`,
    environmentEnd: (environment: string) => `${root}environments/${environment}/end.json`,
    idempotencies: `${root}keys/`,
    /** Object: the idempotency key's owner. */
    idempotency: (sha256: string) => `${root}keys/${sha256}`,
    active: `${root}active/`,
    activeJob: (job: string) => `${root}active/${job}`,
    ended: `${root}ended/`,
    endedJob: (state: string, job: string) => `${root}ended/${state}/${job}`,
    /** Record: code that nothing names, and since when (janitor). */
    unneeded: `${root}unneeded.json`,
    lanes: `${root}lanes/`,
    /** Record: the only lease. */
    lane: (lane: number) => `${root}lanes/${String(lane)}.json`,
    jobs: `${root}jobs/`,
  };
}

/** Keys of one job. */
export function jobKeys(api: string, job: string) {
  const root = `${apiKeys(api).jobs}${job}/`;
  return {
    root,
    spec: `${root}spec.json`,
    /** Record. */
    state: `${root}state.json`,
    /** Object: a stop was asked for. */
    stop: `${root}stop.json`,
    /** Objects: one for each job of the family that this one began, named by it. */
    retries: `${root}retries/`,
    retry: (retry: string) => `${root}retries/${retry}`,
    /** Record: the completion hook's fate. */
    completion: `${root}completion.json`,
    /** Object: inline items or a listing of URIs, one JSON value a line; batches point into it. */
    items: (part: number) => `${root}input/items-${numbered(part)}.ndjson`,
    /** Object: the dataset objects as listed at the start, one `StagedObject` a line. */
    listing: (part: number) => `${root}input/listing-${numbered(part)}.ndjson`,
    listingPrefix: `${root}input/listing-`,
    /** Object: how many listing parts there are. */
    listingEnd: `${root}input/listing-end.json`,
    splits: `${root}splits/`,
    split: (split: number) => `${root}splits/${numbered(split)}.json`,
    splitEnd: `${root}splits/end.json`,
    ledgers: `${root}ledger/`,
    ledger: (worker: string, part: number) => `${root}ledger/${worker}-${numbered(part)}`,
    partsOfResults: `${root}results/`,
    partsOfErrors: `${root}errors/`,
    indexes: `${root}index/`,
    results: (worker: string, part: number) => `${root}results/${worker}-${numbered(part)}.ndjson`,
    errors: (worker: string, part: number) => `${root}errors/${worker}-${numbered(part)}.ndjson`,
    verdicts: `${root}verdicts/`,
    verdict: (term: number, part: number) => `${root}verdicts/${numbered(term)}-${numbered(part)}`,
    /** Objects: what came of some items of a batch whose last attempt is taken apart. */
    isolations: `${root}isolation/`,
    isolation: (batch: number) => `${root}isolation/${numbered(batch)}/`,
    isolated: (batch: number, attempt: number, [from, to]: readonly [number, number]) =>
      `${root}isolation/${numbered(batch)}/${String(attempt)}-${String(from)}-${String(to)}`,
    cut: `${root}cut.json`,
    /** Record: how many failed batches went to the job's dead-letter queue. */
    deadLetters: `${root}dead-letters.json`,
    part: (name: string) => `${root}parts/${name}`,
    parts: `${root}parts/`,
    index: (split: number) => `${root}index/${numbered(split)}.json`,
    manifest: `${root}manifest.json`,
    /** Record: whether the job's results are still handed out (retention.ts). */
    retention: `${root}retention.json`,
  };
}

/** How a queue names a lane: lane numbers are each API's own. */
export function queueLane(api: string, lane: number): string {
  return `${api}/${String(lane)}`;
}

/** Numbers in keys have eight digits, so that listings come in their order. */
function numbered(value: number): string {
  return String(value).padStart(8, "0");
}

/** The worker that writes a ledger: `ledger/<worker>-<part>` without its part. */
export function workerOfLedger(key: string): string {
  const name = key.slice(key.lastIndexOf("/") + 1);
  return name.slice(0, name.lastIndexOf("-"));
}

/** Worker incarnations are named `<epoch>-<generation>-<index>-<random>`. */
export function workerName(epoch: number, generation: number, index: number, random: string): string {
  return `${String(epoch)}-${String(generation)}-${String(index)}-${random}`;
}

export interface WorkerNameParts {
  readonly epoch: number;
  readonly generation: number;
  readonly index: number;
}

export function parseWorkerName(worker: string): WorkerNameParts {
  const [epoch, generation, index] = worker.split("-").map(Number);
  return { epoch: epoch ?? 0, generation: generation ?? 0, index: index ?? 0 };
}
