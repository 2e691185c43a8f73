/**
 * The problem catalogue: every way in which a client can ask wrongly, or be told to come back (RFC 9457). One row says the
 * title, the HTTP status of the modern door, and the kind that the Cortex door says (contract B.3).
 */
interface CatalogueRow {
  readonly title: string;
  readonly status: number;
  /** `kind` of the Cortex door's error; its status is always 400 there. */
  readonly cortexKind: string;
}

const PROBLEMS = {
  invalid_body: { title: "The body is not what is asked for", status: 400, cortexKind: "error" },
  invalid_request: { title: "A parameter or header is not what is asked for", status: 400, cortexKind: "error" },
  body_too_large: { title: "The body is too large", status: 413, cortexKind: "error" },
  unsupported_media_type: { title: "The body is of another kind", status: 415, cortexKind: "error" },
  not_found: { title: "Nothing is at this address", status: 404, cortexKind: "error" },
  method_not_allowed: { title: "This address takes other methods", status: 405, cortexKind: "error" },
  api_not_found: { title: "No such API", status: 404, cortexKind: "resources.api_not_deployed" },
  job_not_found: { title: "No such job", status: 404, cortexKind: "job.not_found" },
  job_is_final: { title: "The job has ended", status: 409, cortexKind: "job.job_is_not_in_progress" },
  job_is_not_final: { title: "The job has not ended", status: 409, cortexKind: "error" },
  nothing_to_retry: { title: "The job has no item to retry", status: 409, cortexKind: "error" },
  retried_too_often: { title: "The job's items were retried too often", status: 409, cortexKind: "error" },
  job_data_gone: { title: "What a retry needs of the job is gone", status: 410, cortexKind: "error" },
  version_gone: { title: "A version of the API is gone", status: 410, cortexKind: "error" },
  conflict: { title: "This contradicts an earlier request", status: 409, cortexKind: "error" },
  results_not_kept: { title: "There are no managed results", status: 409, cortexKind: "error" },
  results_removed: { title: "The results are not kept any more", status: 410, cortexKind: "error" },
  source_bad_path: { title: "A path cannot be understood", status: 400, cortexKind: "aws.invalid_s3_path" },
  source_bad_glob: { title: "A pattern does not compile", status: 400, cortexKind: "error" },
  source_outside_roots: { title: "A path is outside the allowed folders", status: 403, cortexKind: "error" },
  source_missing: { title: "A path leads to nothing", status: 400, cortexKind: "batchapi.no_s3_files_found" },
  source_denied: { title: "A path cannot be read", status: 403, cortexKind: "error" },
  source_no_match: { title: "No object matches", status: 400, cortexKind: "batchapi.no_s3_files_found" },
  source_unreachable: { title: "A source does not answer", status: 502, cortexKind: "error" },
  source_changed: { title: "A source has changed", status: 409, cortexKind: "error" },
  project_invalid: { title: "The project cannot be deployed", status: 400, cortexKind: "error" },
  project_too_large: { title: "The project is too large", status: 413, cortexKind: "error" },
  project_spec_invalid: { title: "The API spec is not what is asked for", status: 400, cortexKind: "error" },
  project_spec_missing: { title: "The project has no API spec", status: 400, cortexKind: "error" },
  environment_failed: { title: "The environment could not be built", status: 422, cortexKind: "error" },
  pod_template_unusable: { title: "The cluster has no usable pod template", status: 503, cortexKind: "error" },
  code_is_pinned: { title: "A stack owns the API's code", status: 409, cortexKind: "error" },
  name_reserved: { title: "The name is taken by the service itself", status: 400, cortexKind: "error" },
  not_allowed: { title: "This is not allowed", status: 403, cortexKind: "error" },
  not_authenticated: { title: "It is not known who asks", status: 401, cortexKind: "error" },
  scope_missing: { title: "Who asks may not do this", status: 403, cortexKind: "error" },
  network_not_allowed: { title: "Calls from this network are not taken", status: 403, cortexKind: "error" },
  auth_unwell: { title: "Nobody's token can be checked now", status: 503, cortexKind: "error" },
  service_starting: { title: "The service is starting", status: 503, cortexKind: "error" },
  store_unwell: { title: "The store does not work", status: 503, cortexKind: "error" },
  backend_unwell: { title: "Something that the service leans on does not work", status: 503, cortexKind: "error" },
  object_damaged: { title: "An object of the store cannot be used as it lies there", status: 500, cortexKind: "error" },
  internal: { title: "Something unexpected happened here", status: 500, cortexKind: "error" },
} as const satisfies Record<string, CatalogueRow>;

export type ProblemCode = keyof typeof PROBLEMS;

/** One thing that is wrong. Never holds a value of the payload: `found` names a kind, a count or a measure. */
export interface Fault {
  /** Path of the field (`item_list.batch_size`), of a file, or the name of a header or parameter. */
  readonly field: string;
  /** What stands there: "a text", "0", "nothing". */
  readonly found: string;
  /** What to do: "give a whole number from 1 to 10,000". */
  readonly fix: string;
}

/** `type` of a problem is this and its code. */
const PROBLEM_TYPE_PREFIX = "https://millrace.dev/problems/";

/** RFC 9457 members as they go over the wire. */
interface ProblemJson {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ProblemCode;
  readonly detail: string;
  readonly errors: readonly Fault[];
}

interface ProblemOptions {
  readonly cause?: unknown;
  /** Says the Cortex door's kind where the catalogue's is too wide. */
  readonly cortexKind?: string;
}

/**
 * A client asked wrongly. `detail` is a whole sentence for a person: names the place, what was found, and the fix; when
 * `faults` are given and it is empty, it is made of them.
 *
 *     throw new Problem("job_not_found", `API "digits" has no job 0f3a…; list its jobs for their ids.`);
 */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly status: number;
  readonly title: string;
  readonly faults: readonly Fault[];
  readonly cortexKind: string;

  constructor(code: ProblemCode, detail: string, faults: readonly Fault[] = [], options: ProblemOptions = {}) {
    super(detail === "" ? faults.map(faultSentence).join(" ") : detail, { cause: options.cause });
    const row = PROBLEMS[code];
    this.name = "Problem";
    this.code = code;
    this.status = row.status;
    this.title = row.title;
    this.faults = faults;
    this.cortexKind = options.cortexKind ?? row.cortexKind;
  }

  toJSON(): ProblemJson {
    return {
      type: PROBLEM_TYPE_PREFIX + this.code,
      title: this.title,
      status: this.status,
      code: this.code,
      detail: this.message,
      errors: this.faults,
    };
  }
}

export function faultSentence(fault: Fault): string {
  return `${fault.field}: found ${fault.found}; ${fault.fix}.`;
}
