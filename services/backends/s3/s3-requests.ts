/** The few requests of S3 that are used here, one attempt each; what fails throws `S3Failure`. */
import type { Readable } from "node:stream";
import type * as Aws from "@aws-sdk/client-s3";
import type { GetObjectCommandOutput, HeadObjectCommandOutput, S3Client } from "@aws-sdk/client-s3";
import type { ByteRange } from "../object-store.ts";
import { ENV } from "../../protocol/environment.ts";
import { failureOf, S3Failure } from "./s3-failure.ts";

interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** How S3, or anything that speaks its protocol, is reached. What is left out comes from the SDK's own default chain. */
export interface S3Access {
  readonly region?: string;
  /** Another endpoint than AWS's; buckets are then part of the path. */
  readonly endpoint?: string;
  readonly credentials?: S3Credentials | (() => Promise<S3Credentials>);
}

/** As a process's environment variables say. */
export function s3AccessFrom(environment: Readonly<Record<string, string | undefined>>): S3Access {
  const region = environment["AWS_REGION"] ?? environment["AWS_DEFAULT_REGION"] ?? "us-east-1";
  const endpoint = environment[ENV.awsS3Endpoint] ?? environment[ENV.awsEndpoint];
  return endpoint === undefined ? { region } : { region, endpoint };
}

type S3RequestKind = "put" | "get" | "head" | "list" | "delete";

/** One request as it was answered, or was not (`status` undefined). */
export interface S3Request {
  readonly kind: S3RequestKind;
  readonly status: number | undefined;
  /** Bytes of the bodies, as their heads say. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** S3's own clock, Unix milliseconds, cut to the second. */
  readonly dateMs: number | undefined;
}

interface S3RequestsOptions {
  readonly access: S3Access;
  /** Whether a bucket in another region is followed there. */
  readonly followRegions: boolean;
  /** A peer that says nothing for so long is given up. */
  readonly silenceMilliseconds: number;
  /** Hears of each request when its answer begins. */
  readonly onRequest?: (request: S3Request) => void;
}

export interface ObjectFacts {
  readonly etag: string;
  /** Bytes of the whole object. */
  readonly sizeBytes: number;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface GotObject extends ObjectFacts {
  readonly bytes: Buffer;
}

interface PutRequest {
  readonly bucket: string;
  readonly key: string;
  readonly bytes: Buffer;
  readonly metadata: Readonly<Record<string, string>>;
  /** The ETag that the object must have; undefined: there must be none. */
  readonly replaces: string | undefined;
}

export interface GetRequest {
  readonly bucket: string;
  readonly key: string;
  readonly range?: ByteRange;
  readonly etag?: string;
  /** Filled instead of fresh memory, when the answer fits. */
  readonly into?: Buffer;
}

export interface ListRequest {
  readonly bucket: string;
  readonly prefix: string;
  readonly after?: string;
  readonly keysMax?: number;
  /** Whether keys with a further slash behind the prefix are told by their folders alone. */
  readonly byFolder?: boolean;
}

export interface ListedKeys {
  readonly objects: readonly { readonly key: string; readonly sizeBytes: number; readonly etag: string }[];
  /** With their slash; none unless asked `byFolder`. */
  readonly folders: readonly string[];
  /** Whether there are more behind the last one. */
  readonly more: boolean;
  /** Whether each key came as it is; else as far as XML can hold it. */
  readonly exact: boolean;
}

const CONNECT_MILLISECONDS = 5_000;
const KINDS: Readonly<Record<string, S3RequestKind>> = {
  PutObjectCommand: "put",
  GetObjectCommand: "get",
  HeadObjectCommand: "head",
  ListObjectsV2Command: "list",
  DeleteObjectCommand: "delete",
};

type Sdk = typeof Aws;

/** See the file. The SDK is loaded at first use: it takes longer to load than the rest of the service. */
export class S3Requests {
  readonly region: string;
  readonly #options: S3RequestsOptions;
  #opened: Promise<{ readonly sdk: Sdk; readonly client: S3Client }> | undefined;

  constructor(options: S3RequestsOptions) {
    this.#options = options;
    this.region = options.access.region ?? "the SDK's default region";
  }

  /** Answers the new ETag. */
  async put({ bucket, key, bytes, metadata, replaces }: PutRequest): Promise<string> {
    const condition = replaces === undefined ? { IfNoneMatch: "*" } : { IfMatch: replaces };
    const answer = await this.#send(({ PutObjectCommand }, client) =>
      client.send(
        new PutObjectCommand({ Bucket: bucket, Key: key, Body: bytes, Metadata: { ...metadata }, ...condition }),
      ),
    );
    return answer.ETag ?? "";
  }

  async get({ bucket, key, range, etag, into }: GetRequest): Promise<GotObject> {
    return await this.#send(async ({ GetObjectCommand }, client) => {
      const answer = await client.send(
        new GetObjectCommand({
          Bucket: bucket,
          Key: key,
          ...(range === undefined ? {} : { Range: `bytes=${String(range.start)}-${String(range.end - 1)}` }),
          ...(etag === undefined ? {} : { IfMatch: etag }),
        }),
      );
      return { ...factsOf(answer), bytes: await bodyOf(answer, into) };
    });
  }

  /** Undefined when there is no such object. */
  async head(bucket: string, key: string): Promise<ObjectFacts | undefined> {
    try {
      return await this.#send(async ({ HeadObjectCommand }, client) =>
        factsOf(await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }))),
      );
    } catch (error) {
      const failure = failureOf(error);
      if (failure.kind === "absent") return undefined;
      // The answer to a HEAD has no body, so that a denied one looks like expired credentials: a byte is asked for.
      if (failure.status === 400 || failure.status === 403) {
        return await this.get({ bucket, key, range: { start: 0, end: 1 } });
      }
      throw failure;
    }
  }

  async list({ bucket, prefix, after, keysMax, byFolder }: ListRequest): Promise<ListedKeys> {
    const page = await this.#send(({ ListObjectsV2Command }, client) =>
      client.send(
        new ListObjectsV2Command({
          Bucket: bucket,
          Prefix: prefix,
          EncodingType: "url",
          ...(after === undefined || after === "" ? {} : { StartAfter: after }),
          ...(keysMax === undefined ? {} : { MaxKeys: keysMax }),
          ...(byFolder === true ? { Delimiter: "/" } : {}),
        }),
      ),
    );
    const exact = page.EncodingType === "url"; // not every server heeds it
    const keyOf = exact ? keyFromUrl : (key: string) => key;
    const objects = (page.Contents ?? []).map(({ Key = "", Size = 0, ETag = "" }) => {
      return { key: keyOf(Key), sizeBytes: Size, etag: ETag };
    });
    const folders = (page.CommonPrefixes ?? []).map(({ Prefix = "" }) => keyOf(Prefix));
    return { objects, folders, exact, more: page.IsTruncated === true && objects.length + folders.length > 0 };
  }

  async delete(bucket: string, key: string): Promise<void> {
    await this.#send(({ DeleteObjectCommand }, client) =>
      client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key })),
    );
  }

  /** Asks for credentials anew with the next request: a client keeps the ones that it has until the time that they told. */
  renewCredentials(): void {
    this.#opened = this.#opened?.then(({ sdk, client }) => {
      return { sdk, client: this.#clientOf(sdk, client.config.requestHandler) };
    });
  }

  async #send<Answer>(request: (sdk: Sdk, client: S3Client) => Promise<Answer>): Promise<Answer> {
    this.#opened ??= import("@aws-sdk/client-s3").then((sdk) => ({ sdk, client: this.#clientOf(sdk) }));
    const { sdk, client } = await this.#opened;
    try {
      return await request(sdk, client);
    } catch (error) {
      throw failureOf(error);
    }
  }

  #clientOf(sdk: Sdk, requestHandler?: S3Client["config"]["requestHandler"]): S3Client {
    const { access, followRegions, silenceMilliseconds } = this.#options;
    const { region, endpoint, credentials } = access;
    const client = new sdk.S3Client({
      // Retries are ours: the SDK's own would turn a success whose answer was lost into a 412, and hide what was asked.
      maxAttempts: 1,
      followRegionRedirects: followRegions,
      // What was stored was checked on its way in; an answer that is cut short shows by its length.
      responseChecksumValidation: "WHEN_REQUIRED",
      requestHandler: requestHandler ?? {
        connectionTimeout: CONNECT_MILLISECONDS,
        socketTimeout: silenceMilliseconds,
      },
      ...(region === undefined ? {} : { region }),
      ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
      ...(credentials === undefined ? {} : { credentials }),
    });
    this.#watch(client);
    return client;
  }

  /** Tells of each request as it went over the wire. */
  #watch(client: S3Client): void {
    const tell = this.#options.onRequest;
    if (tell === undefined) return;
    client.middlewareStack.add(
      (next, context) => async (args) => {
        const kind = KINDS[String(context.commandName)] ?? "get";
        const sentBytes = Number(headersOf(args.request)["content-length"] ?? 0);
        try {
          const answered = await next(args);
          const headers = headersOf(answered.response);
          const receivedBytes = kind === "head" ? 0 : Number(headers["content-length"] ?? 0);
          const dateMs = Date.parse(headers["date"] ?? "");
          const status = (answered.response as { readonly statusCode?: number }).statusCode;
          tell({ kind, status, sentBytes, receivedBytes, dateMs: Number.isNaN(dateMs) ? undefined : dateMs });
          return answered;
        } catch (error) {
          tell({ kind, status: undefined, sentBytes, receivedBytes: 0, dateMs: undefined });
          throw error;
        }
      },
      { step: "deserialize", priority: "low", name: "tellOfRequests" },
    );
  }
}

/**
 * A key of a listing. It is asked for as in URLs, because XML 1.0 cannot hold every character that a key may have (ListObjectsV2,
 * `encoding-type`): what stood in its place would be another key, and a listing that goes on behind that one skips others.
 */
function keyFromUrl(written: string): string {
  try {
    return decodeURIComponent(written.replaceAll("+", " "));
  } catch {
    throw new S3Failure({ kind: "other", code: "a key that is no UTF-8" });
  }
}

function headersOf(message: unknown): Readonly<Record<string, string | undefined>> {
  return (message as { readonly headers?: Readonly<Record<string, string>> }).headers ?? {};
}

function factsOf(answer: GetObjectCommandOutput | HeadObjectCommandOutput): ObjectFacts {
  const range = "ContentRange" in answer ? answer.ContentRange : undefined;
  const whole = /\/(\d+)$/.exec(range ?? "")?.[1];
  return {
    etag: answer.ETag ?? "",
    sizeBytes: whole === undefined ? (answer.ContentLength ?? 0) : Number(whole),
    metadata: answer.Metadata ?? {},
  };
}

async function bodyOf(answer: GetObjectCommandOutput, into: Buffer | undefined): Promise<Buffer> {
  const wanted = answer.ContentLength ?? 0;
  const target = into !== undefined && into.length >= wanted ? into : Buffer.allocUnsafeSlow(wanted);
  let filled = 0;
  for await (const piece of answer.Body as Readable) {
    const bytes = piece as Buffer;
    if (filled + bytes.length > wanted) break;
    filled += bytes.copy(target, filled);
  }
  if (filled < wanted) throw new S3Failure({ kind: "silent", code: "truncated body" });
  return target.subarray(0, wanted);
}
