/** What CloudWatch Logs may answer instead, and what to say of it. */
export type LogFault = "throttled" | "denied" | "credentials" | "missing" | "exists" | "invalid" | "unreachable";
export type LogOperation =
  "CreateLogStream" | "PutLogEvents" | "FilterLogEvents" | "DescribeLogStreams" | "DeleteLogStream";

const FAULTS: Readonly<Record<string, LogFault>> = {
  ThrottlingException: "throttled",
  Throttling: "throttled",
  LimitExceededException: "throttled",
  ServiceUnavailableException: "throttled",
  TooManyRequestsException: "throttled",
  OperationAbortedException: "throttled",
  SlowDown: "throttled",
  AccessDeniedException: "denied",
  AccessDenied: "denied",
  UnrecognizedClientException: "credentials",
  InvalidClientTokenId: "credentials",
  InvalidSignatureException: "credentials",
  SignatureDoesNotMatch: "credentials",
  IncompleteSignature: "credentials",
  MissingAuthenticationTokenException: "credentials",
  ExpiredTokenException: "credentials",
  ExpiredToken: "credentials",
  CredentialsProviderError: "credentials",
  ResourceNotFoundException: "missing",
  ResourceAlreadyExistsException: "exists",
  InvalidParameterException: "invalid",
  ValidationException: "invalid",
  SerializationException: "invalid",
};
const STATUSES: Readonly<Record<number, LogFault>> = {
  403: "denied",
  413: "invalid",
  429: "throttled",
  503: "throttled",
};

export function faultOf(error: unknown): LogFault {
  const named = FAULTS[error instanceof Error ? error.name : ""];
  return named ?? STATUSES[statusOf(error) ?? 0] ?? "unreachable";
}

/** One sentence that names the group and the fix. Undefined for what passes by itself. */
export function sentenceOf(
  fault: LogFault,
  error: unknown,
  group: string,
  operation: LogOperation,
): string | undefined {
  const subject = `log group ${group}`;
  switch (fault) {
    case "denied":
      return `${subject} refuses ${operation}: grant this process's role logs:${operation} on it`;
    case "credentials":
      return `${subject} takes the AWS credentials of this process no more, or there are none: renew them`;
    case "missing":
      return `${subject} does not exist in this region: create it, or set MILLRACE_LOG_GROUP to one that does`;
    case "invalid":
      return `${subject} refuses a ${operation} as invalid: upgrade this program, or tell its maintainers`;
    case "unreachable":
      return `${subject} does not answer (${nameOf(error)}): check the endpoint and the network`;
    case "throttled":
    case "exists":
      return undefined;
  }
}

function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return "no answer";
  const status = statusOf(error);
  return status === undefined ? error.name : `${error.name}, status ${String(status)}`;
}

function statusOf(error: unknown): number | undefined {
  const metadata = (error as { readonly $metadata?: { readonly httpStatusCode?: number } } | null)?.$metadata;
  return metadata?.httpStatusCode;
}
