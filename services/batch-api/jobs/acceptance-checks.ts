/** What can be known of a lister's sources before a job is accepted: paths, patterns, rights, and that anything matches. */
import { DatasetError, type Dataset, type DatasetFault } from "../../backends/dataset.ts";
import { Problem, type ProblemCode } from "../../protocol/problems.ts";
import type { Submission } from "../../protocol/submission.ts";
import type { DryRun } from "./job-service.ts";
import { sourceMatcher, sourceUris, type ListerInput } from "./source-paths.ts";

/** Beyond so many paths only those up to the first match are tried: each costs a request. */
const PATHS_PROBED_MAX = 100;
const DRY_RUN_URIS_MAX = 10_000;

const CODE_OF_FAULT = {
  outside_roots: "source_outside_roots",
  missing: "source_missing",
  denied: "source_denied",
  changed: "source_changed",
  unsupported: "source_bad_path",
  archived: "source_denied",
  unreachable: "source_unreachable",
} as const satisfies Record<DatasetFault, ProblemCode>;

/** A queue for failed batches is of use only where something can be sent to it. Throws `Problem`. */
export function checkDeadLetters({ deadLetterQueue }: Pick<Submission, "deadLetterQueue">, sends: boolean): void {
  if (deadLetterQueue === null || sends) return;
  const fix =
    "start the service with AWS credentials that may send to the queue (AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret), " +
    "or leave the field out: failed items stand under errors";
  throw new Problem("invalid_body", "", [
    { field: "dead_letter_queue", found: "a service without AWS credentials", fix },
  ]);
}

/** The paths as URIs, when all can be listed and at least one object matches. Throws `Problem`. */
export async function checkSources(dataset: Dataset, input: ListerInput): Promise<readonly string[]> {
  const uris = sourceUris(input);
  const matches = sourceMatcher(input);
  let listed = 0;
  let matched = false;
  for (const [at, uri] of uris.entries()) {
    if (matched && at >= PATHS_PROBED_MAX) break;
    const found = await asProblem(input, at, () => firstMatch(dataset, uri, matched ? () => true : matches));
    listed += found.listed;
    matched ||= found.matched;
  }
  if (!matched) throw noMatch(input, listed);
  return uris;
}

/** Lists until an object matches; any object does when only the right to list is in question. */
async function firstMatch(dataset: Dataset, uri: string, matches: (uri: string) => boolean) {
  let listed = 0;
  for await (const page of dataset.list(uri)) {
    listed += page.length;
    if (page.some((object) => matches(object.uri))) return { listed, matched: true };
  }
  return { listed, matched: false };
}

/** What a job over this input would read. Throws `Problem`. */
export async function listSources(dataset: Dataset, input: ListerInput): Promise<DryRun> {
  const matches = sourceMatcher(input);
  const uris: string[] = [];
  let objects = 0;
  let listed = 0;
  for (const [at, uri] of sourceUris(input).entries()) {
    await asProblem(input, at, async () => {
      for await (const page of dataset.list(uri)) {
        listed += page.length;
        for (const object of page) {
          if (!matches(object.uri)) continue;
          objects += 1;
          if (uris.length < DRY_RUN_URIS_MAX) uris.push(object.uri);
        }
      }
    });
  }
  if (objects === 0) throw noMatch(input, listed);
  return { uris, objects };
}

async function asProblem<T>(input: ListerInput, at: number, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (!(error instanceof DatasetError)) throw error;
    throw new Problem(CODE_OF_FAULT[error.fault], `${input.kind}.paths[${String(at)}]: ${error.message}`, [], {
      cause: error,
    });
  }
}

function noMatch(input: ListerInput, listed: number): Problem {
  const where = `${input.kind}.paths`;
  const found =
    listed === 0
      ? `nothing lies under ${input.paths.length === 1 ? JSON.stringify(input.paths[0]) : `any of the ${String(input.paths.length)} paths`}`
      : `none of the ${String(listed)} objects found passes includes and excludes (patterns are matched against whole URIs; * stays within a folder, ** crosses)`;
  const fix = listed === 0 ? "check the paths; they are prefixes" : "widen includes or narrow excludes";
  return new Problem("source_no_match", `${where}: ${found}; ${fix}.`);
}
