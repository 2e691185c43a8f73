/** What a request to S3 came to when it did not come to an answer, and the words for it: said once, for store and datasets. */

export type S3FailureKind =
  /** 404 of a key: there is no such object. */
  | "absent"
  /** 412: the object is not as the condition wants it. */
  | "refused"
  /** 409: another conditional write was under way; nothing is said about ours. */
  | "conflict"
  /** No answer, or half of one: a write may have landed, or may land yet. */
  | "silent"
  /** 5xx: as silence, a write may have landed. */
  | "server"
  /** Too many requests; nothing was done. */
  | "throttled"
  /** The credentials are missing or have expired; new ones may come. */
  | "credentials"
  /** The credentials are wrong and stay wrong. */
  | "credentials_wrong"
  | "denied"
  | "no_bucket"
  | "wrong_region"
  | "archived"
  /** 416: the range begins behind the object's end. */
  | "range"
  | "other";

/**
 * Thrown for one request. It keeps the name, the status and the request's id of S3's error and drops the rest, which may
 * hold what was signed.
 */
export class S3Failure extends Error {
  override readonly name = "S3Failure";
  readonly kind: S3FailureKind;
  /** S3's own name of the error, or the system's: `SlowDown`, `ECONNRESET`. */
  readonly code: string;
  readonly status: number | undefined;
  /** Where the bucket is, when S3 said so. */
  readonly bucketRegion: string | undefined;
  /** The right to the bucket's key that S3 missed: `kms:Decrypt`. */
  readonly kmsGrant: string | undefined;

  constructor(found: {
    readonly kind: S3FailureKind;
    readonly code: string;
    readonly status?: number | undefined;
    readonly requestId?: string | undefined;
    readonly bucketRegion?: string | undefined;
    readonly kmsGrant?: string | undefined;
  }) {
    super(`S3 answered ${tell(found)}${found.requestId === undefined ? "" : `, request ${found.requestId}`}`);
    this.kind = found.kind;
    this.code = found.code;
    this.status = found.status;
    this.bucketRegion = found.bucketRegion;
    this.kmsGrant = found.kmsGrant;
  }
}

/** By the name of S3's error; some answers carry no body, and then only a status. */
const KINDS: Readonly<Record<string, S3FailureKind>> = {
  NoSuchKey: "absent",
  NotFound: "absent",
  "404": "absent",
  PreconditionFailed: "refused",
  "412": "refused",
  ConditionalRequestConflict: "conflict",
  OperationAborted: "conflict",
  RequestTimeout: "silent",
  RequestTimeTooSkewed: "server", // the SDK has noted the difference, and signs the next one with it
  "500": "server",
  "502": "server",
  "504": "server",
  SlowDown: "throttled",
  Throttling: "throttled",
  ThrottlingException: "throttled",
  TooManyRequestsException: "throttled",
  RequestLimitExceeded: "throttled",
  "429": "throttled",
  "503": "throttled",
  ExpiredToken: "credentials",
  ExpiredTokenException: "credentials",
  TokenRefreshRequired: "credentials",
  CredentialsProviderError: "credentials",
  InvalidToken: "credentials_wrong",
  InvalidAccessKeyId: "credentials_wrong",
  SignatureDoesNotMatch: "credentials_wrong",
  AccessDenied: "denied",
  AllAccessDisabled: "denied",
  Forbidden: "denied",
  "403": "denied",
  NoSuchBucket: "no_bucket",
  PermanentRedirect: "wrong_region",
  TemporaryRedirect: "wrong_region",
  AuthorizationHeaderMalformed: "wrong_region",
  IllegalLocationConstraintException: "wrong_region",
  "301": "wrong_region",
  InvalidObjectState: "archived",
  InvalidRange: "range",
  "416": "range",
};

/** Kinds after which a write may have been done, or be done yet: its writer has to look. */
export const UNSURE: ReadonlySet<S3FailureKind> = new Set(["refused", "conflict", "silent", "server"]);

/** Kinds that pass: the same request may have another answer later. */
export const PASSING: ReadonlySet<S3FailureKind> = new Set([
  "conflict",
  "silent",
  "server",
  "throttled",
  "credentials",
]);

/** The failure that an error of the SDK, or of the connection below it, stands for. */
export function failureOf(error: unknown): S3Failure {
  if (error instanceof S3Failure) return error;
  const status = numberAt(error, "$metadata", "httpStatusCode");
  const name = error instanceof Error ? error.name : "";
  const code = name === "Error" || name === "" ? (textAt(error, "code") ?? "no answer") : name;
  const kind = KINDS[code] ?? KINDS[String(status)] ?? (status === undefined || status < 300 ? "silent" : "other");
  const message = error instanceof Error ? error.message : "";
  return new S3Failure({
    kind,
    code,
    status,
    requestId: textAt(error, "$metadata", "requestId"),
    bucketRegion: textAt(error, "$response", "headers", "x-amz-bucket-region") ?? textAt(error, "Region"),
    kmsGrant: kind === "denied" ? /\bkms:[A-Za-z]+/.exec(message)?.[0] : undefined,
  });
}

/** What a request was about, for the words of its failure. */
interface S3Place {
  /** Begins the sentence: a URI. */
  readonly subject: string;
  /** Completes "may not be …": `read`, `written`. */
  readonly action: string;
  /** The right that the request needs: `s3:GetObject on bucket/key`. */
  readonly grant: string;
  readonly bucket: string;
  /** Where the bucket was looked for. */
  readonly region: string;
  /** What else can be done about it, behind the sentence. */
  readonly hints?: Partial<Readonly<Record<S3FailureKind, string>>>;
}

/** One sentence that names the thing, what was found and the fix. */
export function sentenceOf(failure: S3Failure, place: S3Place): string {
  return `${found(failure, place)}${place.hints?.[failure.kind] ?? ""}`;
}

function found(failure: S3Failure, place: S3Place): string {
  const { subject, action, bucket, region } = place;
  switch (failure.kind) {
    case "denied": {
      const grant = failure.kmsGrant === undefined ? place.grant : `${failure.kmsGrant} on the key of ${bucket}`;
      return `${subject} may not be ${action}: grant this service ${grant}`;
    }
    case "credentials":
      return `${subject} may not be ${action}: the AWS credentials are missing or have expired; renew them`;
    case "credentials_wrong":
      return `${subject} may not be ${action}: the AWS credentials are wrong (${failure.code}); correct them`;
    case "no_bucket":
      return `${subject} names a bucket that does not exist; create ${bucket}, or correct its name`;
    case "wrong_region": {
      const there = failure.bucketRegion ?? "another region";
      return `${subject} is in ${there}, and was asked for in ${region}; set AWS_REGION to the bucket's region`;
    }
    case "archived":
      return `${subject} is in an archive storage class; restore it`;
    case "absent":
      return `${subject} does not exist any more`;
    case "refused":
    case "range":
      return `${subject} has changed`;
    case "throttled":
      return `${subject} could not be ${action}: S3 asks for fewer requests (${tell(failure)}); use fewer workers, or wait`;
    case "conflict":
    case "silent":
    case "server":
    case "other":
      return `${subject} could not be ${action} (${tell(failure)}); check the endpoint and the network`;
  }
}

function tell({ code, status }: { readonly code: string; readonly status?: number | undefined }): string {
  return status === undefined ? code : `${code}, status ${String(status)}`;
}

function valueAt(from: unknown, path: readonly string[]): unknown {
  let value = from;
  for (const name of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value;
}

function textAt(from: unknown, ...path: readonly string[]): string | undefined {
  const value = valueAt(from, path);
  return typeof value === "string" ? value : undefined;
}

function numberAt(from: unknown, ...path: readonly string[]): number | undefined {
  const value = valueAt(from, path);
  return typeof value === "number" ? value : undefined;
}
