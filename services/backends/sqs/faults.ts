/** What an answer of SQS means, and what is said about it. Never the service's own text: it may quote what was sent. */
import { LaneGone } from "../batch-queue.ts";
import { Unwell } from "../unwell.ts";

/**
 * - `gone`: the queue does not exist;
 * - `denied`, `region`, `refused`: will not get better by itself;
 * - `credentials`: expired or not to be had just now; new ones may come;
 * - `throttled`: too much at once;
 * - `unreachable`: no answer, or one that says that the service itself failed.
 */
export type SqsFault = "gone" | "denied" | "region" | "refused" | "credentials" | "throttled" | "unreachable";

export type SqsRequestKind = "send" | "receive" | "extend" | "ack" | "release" | "probe";

/** A request that failed for good, in one sentence. */
export class SqsError extends Unwell {
  override readonly name = "SqsError";
  readonly fault: SqsFault;
  /** SQS's own name of the error, such as `BatchRequestTooLong`. */
  readonly code: string;

  constructor(fault: SqsFault, code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
    this.code = code;
  }
}

const GRANTS: Readonly<Record<SqsRequestKind, string>> = {
  send: "sqs:SendMessage",
  receive: "sqs:ReceiveMessage",
  extend: "sqs:ChangeMessageVisibility",
  ack: "sqs:DeleteMessage",
  release: "sqs:ChangeMessageVisibility",
  probe: "sqs:GetQueueAttributes",
};

/** By the names of the errors of SQS, of AWS at large, and of the SDK. */
const FAULTS: Readonly<Record<string, SqsFault>> = {
  QueueDoesNotExist: "gone",
  NonExistentQueue: "gone",
  QueueDeletedRecently: "gone",
  AccessDenied: "denied",
  AccessDeniedException: "denied",
  KmsAccessDenied: "denied",
  InvalidSecurity: "denied",
  InvalidAddress: "region",
  ExpiredToken: "credentials",
  ExpiredTokenException: "credentials",
  CredentialsProviderError: "credentials",
  TokenProviderError: "credentials",
  ProviderError: "credentials",
  OverLimit: "throttled",
  RequestThrottled: "throttled",
  RequestThrottledException: "throttled",
  RequestLimitExceeded: "throttled",
  Throttling: "throttled",
  ThrottlingException: "throttled",
  ThrottledException: "throttled",
  TooManyRequestsException: "throttled",
  KmsThrottled: "throttled",
  SlowDown: "throttled",
  TimeoutError: "unreachable",
  InternalError: "unreachable",
  InternalFailure: "unreachable",
  InternalServerError: "unreachable",
  ServiceUnavailable: "unreachable",
  RequestTimeout: "unreachable",
};

/** Names of errors come with the prefixes of older protocols, such as `AWS.SimpleQueueService.NonExistentQueue`. */
export function faultOfCode(code: string): SqsFault | undefined {
  return FAULTS[code.slice(code.lastIndexOf(".") + 1)];
}

export function faultOf(error: unknown): SqsFault {
  const status = statusOf(error);
  if (!(error instanceof Error)) return "unreachable";
  if (/\bscoped to a valid region\b/.test(error.message)) return "region";
  const known = faultOfCode(error.name);
  if (known !== undefined) return known;
  // an error with a good status: the answer broke off within its body
  if (status === undefined || status < 300 || status >= 500) return "unreachable";
  if (status === 429) return "throttled";
  return status === 403 ? "denied" : "refused";
}

export interface FailedRequest {
  readonly kind: SqsRequestKind;
  readonly lane: string;
  readonly url: string;
}

/** The error to throw: `LaneGone`, or an `SqsError`. */
export function errorOf(error: unknown, fault: SqsFault, request: FailedRequest): Error {
  const code = codeOf(error);
  const text = sentence(fault, code, statusOf(error), request);
  return fault === "gone" ? new LaneGone(text, { cause: error }) : new SqsError(fault, code, text, { cause: error });
}

function sentence(fault: SqsFault, code: string, status: number | undefined, { kind, lane, url }: FailedRequest) {
  const queue = `the queue of lane ${lane} (${url})`;
  const found = status === undefined ? code : `${code}, status ${String(status)}`;
  switch (fault) {
    case "gone":
      return `${queue} does not exist; check its URL, or deploy the API's lanes again`;
    case "denied":
      return code === "KmsAccessDenied"
        ? `the key of ${queue} may not be used: grant kms:Decrypt and kms:GenerateDataKey on it`
        : `${queue} may not be used (${found}): grant ${GRANTS[kind]} on it, and check that the credentials are valid`;
    case "region":
      return `${queue} is not in the region that the requests are signed for (${found}); set AWS_REGION to the queue's region`;
    case "credentials":
      return `${queue} may not be used: the AWS credentials are missing or expired (${found}); renew them`;
    case "throttled":
      return `${queue} takes no more requests for now (${found}): have fewer workers, or ask AWS for a higher quota`;
    case "unreachable":
      return `${queue} does not answer (${found}); check the network and the endpoint of SQS`;
    case "refused":
      return `${queue} refused a request of kind ${kind} (${found}); this is a fault of this program or of the queue's settings`;
  }
}

/** SQS's name of the error, or the system's, such as ENOTFOUND. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  return error.name === "Error" && "code" in error && typeof error.code === "string" ? error.code : error.name;
}

function statusOf(error: unknown): number | undefined {
  const metadata: unknown = error instanceof Error && "$metadata" in error ? error.$metadata : undefined;
  const status: unknown =
    typeof metadata === "object" && metadata !== null && "httpStatusCode" in metadata
      ? metadata.httpStatusCode
      : undefined;
  return typeof status === "number" ? status : undefined;
}
