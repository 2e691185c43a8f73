/** A submission as parsed and defaulted at the border; the parser stands in `submission.parse.ts`. */
export interface Submission {
  /** Undefined: the API's default. */
  readonly workers?: number;
  readonly config: Readonly<Record<string, unknown>>;
  readonly timeoutSeconds: number | null;
  readonly input: SubmissionInput;
  readonly attempts?: number;
  readonly isolate?: boolean;
  readonly batchTimeoutSeconds?: number | null;
  readonly priority: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Where batches go that failed so often; undefined: as often as `attempts` says. They are never taken apart. */
  readonly deadLetterQueue: { readonly arn: string; readonly maxReceiveCount?: number } | null;
}

/**
 * `items` are raw JSON texts, byte for byte as they came (no number or escape is rewritten), except that line breaks between
 * tokens are blanks.
 */
export type SubmissionInput =
  | { readonly kind: "item_list"; readonly items: readonly Buffer[]; readonly batchSize?: number }
  | {
      readonly kind: "file_path_lister" | "delimited_files";
      readonly paths: readonly string[];
      readonly includes: readonly string[];
      readonly excludes: readonly string[];
      readonly batchSize?: number;
    };
