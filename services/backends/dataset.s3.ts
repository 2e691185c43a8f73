/** Datasets in S3, or in anything that speaks its protocol. */
import { s3Address } from "../protocol/dataset-uris.ts";
import type { S3Address } from "../protocol/dataset-uris.ts";
import { realClock, realRandom } from "./clock.real.ts";
import type { Clock, Random } from "./clock.ts";
import { DatasetError } from "./dataset.ts";
import type { Dataset, DatasetFault, DatasetObject } from "./dataset.ts";
import type { ByteRange } from "./object-store.ts";
import { PIECE_BYTES, readPiece, readPieces, ReadWindow, type Reading } from "./s3/ranged-read.ts";
import { failureOf, sentenceOf, type S3FailureKind } from "./s3/s3-failure.ts";
import { s3AccessFrom, S3Requests, type S3Access, type S3Request } from "./s3/s3-requests.ts";
import { RETRY_BUDGET, S3Retry, type RetryBudget } from "./s3/s3-retry.ts";

export interface S3DatasetOptions extends S3Access {
  readonly clock?: Clock;
  readonly random?: Random;
  /** How long a read goes on trying. */
  readonly budget?: RetryBudget;
  /** Hears sentences for the operator: credentials that expired, and that work again. */
  readonly say?: (sentence: string) => void;
  /** Hears of each request as it went over the wire, retries included (`RequestCounts.note`). */
  readonly onRequest?: (request: S3Request) => void;
}

/** Without it a peer that vanished would be waited for for ever. */
const SILENCE_MILLISECONDS = 30_000;
/** Who has just submitted a job, and waits for its answer, is told at once that the service has no credentials. */
const READ_BUDGET: RetryBudget = { ...RETRY_BUDGET, firstCredentialsSeconds: 0 };
const LIST_BUDGET: RetryBudget = {
  attemptsMax: 8,
  seconds: 20,
  credentialsSeconds: 20,
  firstCredentialsSeconds: 0,
};

/** Any of these says that somebody meant this process to reach AWS, or a server of its kind. */
const GIVEN_BY = [
  "AWS_ACCESS_KEY_ID",
  "AWS_PROFILE",
  "AWS_ENDPOINT_URL",
  "AWS_CONTAINER_CREDENTIALS_FULL_URI",
  "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
  "AWS_WEB_IDENTITY_TOKEN_FILE",
];

export function isAwsGiven(environment: Readonly<Record<string, string | undefined>>): boolean {
  return GIVEN_BY.some((name) => environment[name] !== undefined);
}

/** As a process's environment variables say; undefined when they give neither credentials nor an endpoint. */
export function s3FromEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  options: Omit<S3DatasetOptions, keyof S3Access> = {},
): S3Dataset | undefined {
  if (!isAwsGiven(environment)) return undefined;
  return new S3Dataset({ ...options, ...s3AccessFrom(environment) });
}

/** A `Dataset` in any bucket that its credentials may read, of any region. The SDK is loaded at the first call. */
export class S3Dataset implements Dataset {
  readonly #reading: Reading;
  readonly #listing: S3Retry;

  constructor(options: S3DatasetOptions) {
    const { onRequest, say, clock = realClock, random = realRandom, budget = READ_BUDGET, ...access } = options;
    const requests = new S3Requests({
      access,
      followRegions: true,
      silenceMilliseconds: SILENCE_MILLISECONDS,
      ...(onRequest === undefined ? {} : { onRequest }),
    });
    const renewCredentials = () => requests.renewCredentials();
    const retry = new S3Retry({ clock, random, budget, renewCredentials, ...(say === undefined ? {} : { say }) });
    this.#listing = new S3Retry({ clock, random, budget: LIST_BUDGET, renewCredentials });
    this.#reading = { requests, retry, window: new ReadWindow() };
  }

  async *list(
    prefix: string,
    options: { readonly after?: string } = {},
  ): AsyncGenerator<readonly DatasetObject[], void> {
    const { bucket, key } = addressOf(prefix);
    let after = options.after === undefined ? "" : addressOf(options.after).key;
    for (;;) {
      const request = { bucket, prefix: key, after };
      const page = await this.#listing
        .run(() => this.#reading.requests.list(request))
        .catch((error: unknown) => {
          throw this.#faultOf(error, prefix, bucket, `s3:ListBucket on ${bucket}`);
        });
      if (!page.exact) refuseLostCharacters(bucket, page.objects);
      yield page.objects
        .filter(({ key, sizeBytes }) => !key.endsWith("/") || sizeBytes > 0) // a marker of a folder holds nothing
        .map((found) => ({ uri: `s3://${bucket}/${found.key}`, sizeBytes: found.sizeBytes, etag: found.etag }));
      if (!page.more) return;
      after = page.objects.at(-1)?.key ?? "";
    }
  }

  async read(uri: string, range: ByteRange, etag: string, into?: Buffer): Promise<Buffer> {
    if (range.end <= range.start) return Buffer.alloc(0);
    const { bucket, key } = addressOf(uri);
    const wanted = range.end - range.start;
    const target = into !== undefined && into.length >= wanted ? into : Buffer.allocUnsafeSlow(wanted);
    const from = { bucket, key, etag };
    try {
      if (wanted > PIECE_BYTES) {
        await readPieces(this.#reading, from, range, target);
        return target.subarray(0, wanted);
      }
      const { bytes } = await readPiece(this.#reading, { ...from, range, into: target });
      if (bytes.length !== wanted) throw changed(uri);
      return bytes;
    } catch (error) {
      if (error instanceof DatasetError) throw error;
      throw this.#faultOf(error, uri, bucket, `s3:GetObject on ${bucket}/${key}`);
    }
  }

  #faultOf(error: unknown, uri: string, bucket: string, grant: string): DatasetError {
    const failure = failureOf(error);
    const fault = FAULTS[failure.kind];
    if (fault === "changed") return changed(uri);
    const { region } = this.#reading.requests;
    const place = { subject: uri, action: "read", grant, bucket, region, hints: HINTS };
    return new DatasetError(fault, uri, sentenceOf(failure, place), { cause: failure });
  }
}

const FAULTS = {
  absent: "missing",
  no_bucket: "missing",
  refused: "changed",
  range: "changed",
  denied: "denied",
  credentials: "unreachable", // new ones may come
  credentials_wrong: "denied",
  archived: "archived",
  wrong_region: "unreachable",
  conflict: "unreachable",
  silent: "unreachable",
  server: "unreachable",
  throttled: "unreachable",
  other: "unreachable",
} as const satisfies Record<S3FailureKind, DatasetFault>;

const HINTS = { absent: "; submit the job again", archived: ", or leave it out with `excludes`" };

function addressOf(uri: string): S3Address {
  const address = s3Address(uri);
  if (address === undefined) throw new DatasetError("unsupported", uri, `${uri} is no S3 URI; write s3://bucket/key`);
  return address;
}

/** What a server writes in the place of a character that it cannot write; a key of nothing but line breaks comes as none. */
const LOST = "\uFFFD";

function refuseLostCharacters(bucket: string, objects: readonly { readonly key: string }[]): void {
  const lost = objects.find(({ key }) => key === "" || key.includes(LOST));
  if (lost === undefined) return;
  const fix =
    "some character of which its server cannot put into a list; rename the object, or give a prefix without it";
  throw new DatasetError(
    "unsupported",
    `s3://${bucket}/`,
    `s3://${bucket} holds a key like ${JSON.stringify(lost.key)}, ${fix}`,
  );
}

function changed(uri: string): DatasetError {
  return new DatasetError(
    "changed",
    uri,
    `${uri} has changed since the job listed it; submit the job again, and leave its input alone while it runs`,
  );
}
