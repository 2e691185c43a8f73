/** A lister's paths and patterns, made ready: a Problem names the field that is wrong. */
import { DatasetUriInvalid, readableUri, toUri } from "../../protocol/dataset-uris.ts";
import { compileFilter, GlobInvalid } from "../../protocol/globs.ts";
import { Problem } from "../../protocol/problems.ts";
import type { SubmissionInput } from "../../protocol/submission.ts";

export type ListerInput = Extract<SubmissionInput, { readonly paths: readonly string[] }>;

/** The paths as URIs, in their order. Throws `Problem` that names each one that is none. */
export function sourceUris(input: ListerInput): readonly string[] {
  const uris: string[] = [];
  const faults: string[] = [];
  for (const [at, path] of input.paths.entries()) {
    try {
      uris.push(toUri(path));
    } catch (error) {
      if (!(error instanceof DatasetUriInvalid)) throw error;
      faults.push(`${input.kind}.paths[${String(at)}]: ${error.message}`);
    }
  }
  if (faults.length > 0) throw new Problem("source_bad_path", `${faults.join(". ")}.`);
  return uris;
}

/** Whether an object is wanted, by includes and excludes. Throws `Problem` for a pattern that does not compile. */
export function sourceMatcher(input: ListerInput): (uri: string) => boolean {
  try {
    const passes = compileFilter(input.includes, input.excludes);
    return (uri) => passes(readableUri(uri));
  } catch (error) {
    if (!(error instanceof GlobInvalid)) throw error;
    throw new Problem("source_bad_glob", `${input.kind}: ${error.message}`, [], { cause: error });
  }
}
