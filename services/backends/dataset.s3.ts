/** Datasets in S3, or in anything that speaks its protocol. */
import type { S3Client } from "@aws-sdk/client-s3";
import { s3Address } from "../protocol/dataset-uris.ts";
import type { S3Address } from "../protocol/dataset-uris.ts";
import { DatasetError } from "./dataset.ts";
import type { Dataset, DatasetFault, DatasetObject } from "./dataset.ts";
import type { ByteRange } from "./object-store.ts";
import { ENV } from "../protocol/environment.ts";

export interface S3DatasetOptions {
  /** Undefined: the SDK's own default chain. */
  readonly region?: string;
  /** Another endpoint than AWS's; buckets are then part of the path. */
  readonly endpoint?: string;
  /** Undefined: the SDK's own default chain. */
  readonly credentials?: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
}

/** Without them a peer that vanished would be waited for for ever. */
const CONNECT_MILLISECONDS = 5_000;
const SILENCE_MILLISECONDS = 30_000;

/** As a process's environment variables say; undefined when they give neither credentials nor an endpoint. */
export function s3FromEnvironment(environment: Readonly<Record<string, string | undefined>>): S3Dataset | undefined {
  const { AWS_REGION: region, AWS_ACCESS_KEY_ID: key, AWS_PROFILE: profile } = environment;
  const endpoint = environment[ENV.awsEndpoint];
  if (key === undefined && profile === undefined && endpoint === undefined) return undefined;
  return new S3Dataset({ region: region ?? "us-east-1", ...(endpoint === undefined ? {} : { endpoint }) });
}

export class S3Dataset implements Dataset {
  readonly #options: S3DatasetOptions;
  #client: Promise<S3Client> | undefined;

  constructor(options: S3DatasetOptions) {
    this.#options = options;
  }

  async *list(
    prefix: string,
    options: { readonly after?: string } = {},
  ): AsyncGenerator<readonly DatasetObject[], void> {
    const { bucket, key } = addressOf(prefix);
    const { ListObjectsV2Command } = await import("@aws-sdk/client-s3");
    const after = options.after === undefined ? undefined : addressOf(options.after).key;
    let token: string | undefined;
    do {
      const page = await (
        await this.#connected()
      )
        .send(
          new ListObjectsV2Command({
            Bucket: bucket,
            Prefix: key,
            ...(token !== undefined ? { ContinuationToken: token } : after !== undefined ? { StartAfter: after } : {}),
          }),
        )
        .catch((error: unknown) => {
          throw faultOf(error, prefix, `s3:ListBucket on ${bucket}`);
        });
      yield (page.Contents ?? [])
        .filter((found) => found.Key !== undefined && !found.Key.endsWith("/"))
        .map((found) => ({
          uri: `s3://${bucket}/${found.Key ?? ""}`,
          sizeBytes: found.Size ?? 0,
          etag: found.ETag ?? "",
        }));
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async read(uri: string, range: ByteRange, etag: string, into?: Buffer): Promise<Buffer> {
    if (range.end <= range.start) return Buffer.alloc(0);
    const { bucket, key } = addressOf(uri);
    const { GetObjectCommand } = await import("@aws-sdk/client-s3");
    const wanted = range.end - range.start;
    const target = into !== undefined && into.length >= wanted ? into : Buffer.allocUnsafeSlow(wanted);
    let filled = 0;
    try {
      const answer = await (
        await this.#connected()
      ).send(
        new GetObjectCommand({
          Bucket: bucket,
          Key: key,
          IfMatch: etag,
          Range: `bytes=${String(range.start)}-${String(range.end - 1)}`,
        }),
      );
      for await (const piece of answer.Body as AsyncIterable<Buffer>) {
        if (filled + piece.length > wanted) throw changed(uri);
        filled += piece.copy(target, filled);
      }
    } catch (error) {
      throw error instanceof DatasetError ? error : faultOf(error, uri, `s3:GetObject on ${bucket}/${key}`);
    }
    if (filled < wanted) throw changed(uri);
    return target.subarray(0, wanted);
  }

  /** The SDK is loaded at first use: it takes longer to load than the rest of the service. */
  async #connected(): Promise<S3Client> {
    const { region, endpoint, credentials } = this.#options;
    this.#client ??= import("@aws-sdk/client-s3").then(
      ({ S3Client }) =>
        new S3Client({
          followRegionRedirects: true,
          requestHandler: { connectionTimeout: CONNECT_MILLISECONDS, socketTimeout: SILENCE_MILLISECONDS },
          ...(region === undefined ? {} : { region }),
          ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
          ...(credentials === undefined ? {} : { credentials }),
        }),
    );
    return this.#client;
  }
}

function addressOf(uri: string): S3Address {
  const address = s3Address(uri);
  if (address === undefined) throw new DatasetError("unsupported", uri, `${uri} is no S3 URI; write s3://bucket/key`);
  return address;
}

function changed(uri: string): DatasetError {
  return new DatasetError(
    "changed",
    uri,
    `${uri} has changed since the job listed it; submit the job again, and leave its input alone while it runs`,
  );
}

interface ErrorRow {
  readonly fault: DatasetFault;
  /** Completes "<uri> …"; `grant` names the right that the call needs. */
  readonly say: (grant: string) => string;
}

const DENIED: ErrorRow = { fault: "denied", say: (grant) => `may not be read: grant this service ${grant}` };
const MISSING: ErrorRow = { fault: "missing", say: () => "does not exist any more; submit the job again" };
const CREDENTIALS: ErrorRow = {
  fault: "denied",
  say: () => "may not be read: the service's AWS credentials are missing, wrong or expired; renew them",
};

/** By the name of S3's error; some answers carry no body, and then only a status. */
const ERRORS: Readonly<Record<string, ErrorRow>> = {
  NoSuchBucket: { fault: "missing", say: () => "names a bucket that does not exist; check the path" },
  NoSuchKey: MISSING,
  NotFound: MISSING,
  "404": MISSING,
  AccessDenied: DENIED,
  Forbidden: DENIED,
  "403": DENIED,
  CredentialsProviderError: CREDENTIALS,
  InvalidAccessKeyId: CREDENTIALS,
  SignatureDoesNotMatch: CREDENTIALS,
  ExpiredToken: CREDENTIALS,
  InvalidObjectState: {
    fault: "archived",
    say: () => "is in an archive storage class; restore it, or leave it out with `excludes`",
  },
};

function faultOf(error: unknown, uri: string, grant: string): DatasetError {
  const name = error instanceof Error ? error.name : "";
  const status = statusOf(error);
  if (name === "PreconditionFailed" || name === "InvalidRange" || status === 412 || status === 416) return changed(uri);
  const row = ERRORS[name] ?? ERRORS[String(status)];
  if (row !== undefined) return new DatasetError(row.fault, uri, `${uri} ${row.say(grant)}`, { cause: error });
  const found = `${name === "" ? "no answer" : name}${status === undefined ? "" : `, status ${String(status)}`}`;
  return new DatasetError(
    "unreachable",
    uri,
    `${uri} could not be read (${found}); check the endpoint and the network`,
    {
      cause: error,
    },
  );
}

function statusOf(error: unknown): number | undefined {
  const metadata: unknown = error instanceof Error && "$metadata" in error ? error.$metadata : undefined;
  const status: unknown =
    typeof metadata === "object" && metadata !== null && "httpStatusCode" in metadata
      ? metadata.httpStatusCode
      : undefined;
  return typeof status === "number" ? status : undefined;
}
