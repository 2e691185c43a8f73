/**
 * A bucket behind node:http that speaks as much S3 as is used here (PUT, GET and HEAD with their conditions, DELETE,
 * ListObjectsV2), and that fails as a script says.
 */
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What happens to one request instead of its answer. */
export type FakeFault =
  | {
      readonly does: "answers";
      readonly with: Refusal;
    }
  /** It is never done, and the connection is reset. */
  | { readonly does: "loses the request" }
  /** It is done, and the connection is reset. */
  | { readonly does: "loses the answer" }
  /** The connection is reset; the request is done when `FakeS3.land` is called. */
  | { readonly does: "delays the request" }
  /** Half of the answer's body comes, then the connection is reset. */
  | { readonly does: "cuts the body" };

export interface ScriptedFault {
  /** The requests that it meets; it is used up by the first one. */
  readonly method: "PUT" | "GET" | "HEAD" | "DELETE";
  readonly fault: FakeFault;
}

export interface SeenRequest {
  readonly method: string;
  readonly key: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface FakeS3 {
  readonly endpoint: string;
  /** Contents of the bucket `data`, by key. */
  readonly objects: Map<string, Buffer>;
  /** The `x-amz-meta-…` headers of what was PUT, by key. */
  readonly metadata: Map<string, Readonly<Record<string, string>>>;
  /** Whether a listing heeds `encoding-type=url`. */
  urlEncodes: boolean;
  /** When set, every call is answered with this error. */
  failWith: Refusal | undefined;
  /** Each meets one request, the first one that it fits. */
  readonly script: ScriptedFault[];
  readonly seen: SeenRequest[];
  /** The most requests that were under way at once. */
  readonly atOnceMax: number;
  /** Does the requests that were delayed, and answers their statuses. */
  land(): number[];
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
}

/** Keys in a page, few, so that paging is seen. */
const PAGE_KEYS = 3;

export async function startFakeS3(): Promise<FakeS3> {
  let atOnce = 0;
  let atOnceMax = 0;
  const delayed: SeenRequest[] = [];
  const server = createServer((request, response) => {
    atOnceMax = Math.max(atOnceMax, ++atOnce);
    response.on("close", () => atOnce--);
    void seenOf(request).then((seen) => {
      respond(fake, delayed, seen, request, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const fake: FakeS3 = {
    endpoint: `http://127.0.0.1:${String(port)}`,
    objects: new Map(),
    metadata: new Map(),
    urlEncodes: true,
    failWith: undefined,
    script: [],
    seen: [],
    get atOnceMax() {
      return atOnceMax;
    },
    land: () => delayed.splice(0).map((seen) => done(fake, seen, new URLSearchParams()).status),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => {
          resolve();
        });
      }),
  };
  return fake;
}

async function seenOf(request: IncomingMessage): Promise<SeenRequest> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  // not by `URL`, which resolves dots: here they are names
  const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
  const key = path.split("/").slice(2).map(decodeURIComponent).join("/");
  return { method: request.method ?? "", key, headers: request.headers, body: Buffer.concat(pieces) };
}

function respond(
  fake: FakeS3,
  delayed: SeenRequest[],
  seen: SeenRequest,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  fake.seen.push(seen);
  const at = fake.script.findIndex(({ method }) => method === seen.method);
  const fault = fake.script[at]?.fault;
  if (fault !== undefined) fake.script.splice(at, 1);
  if (fault?.does === "delays the request") delayed.push(seen);
  if (fault?.does === "delays the request" || fault?.does === "loses the request") return void request.socket.destroy();
  const [path = "/", query = ""] = (request.url ?? "/").split("?");
  const scripted = fault?.does === "answers" ? fault.with : fake.failWith;
  const answer =
    scripted !== undefined
      ? refusal(scripted.status, scripted.code, scripted.headers)
      : path.split("/")[1] !== "data"
        ? refusal(404, "NoSuchBucket")
        : done(fake, seen, new URLSearchParams(query));
  if (fault?.does === "loses the answer") return void request.socket.destroy();
  const body = Buffer.from(answer.body ?? "");
  response.writeHead(answer.status, { "content-length": String(body.length), ...answer.headers });
  if (fault?.does === "cuts the body") {
    response.write(body.subarray(0, body.length / 2), () => request.socket.destroy());
  } else response.end(seen.method === "HEAD" ? undefined : body);
}

function done(fake: FakeS3, seen: SeenRequest, query: URLSearchParams): Answer {
  if (query.get("list-type") === "2") return listed(fake, query);
  if (seen.method === "PUT") return put(fake, seen);
  if (seen.method !== "DELETE") return got(fake, seen);
  fake.objects.delete(seen.key);
  fake.metadata.delete(seen.key);
  return { status: 204 };
}

function put(fake: FakeS3, { key, headers, body }: SeenRequest): Answer {
  const before = fake.objects.get(key);
  if (headers["if-none-match"] === "*" && before !== undefined) return refusal(412, "PreconditionFailed");
  const expected = headers["if-match"];
  if (expected !== undefined && before === undefined) return refusal(404, "NoSuchKey");
  if (expected !== undefined && before !== undefined && expected !== etag(before)) {
    return refusal(412, "PreconditionFailed");
  }
  fake.objects.set(key, body);
  const metadata = Object.entries(headers).filter(([name]) => name.startsWith("x-amz-meta-"));
  fake.metadata.set(key, Object.fromEntries(metadata.map(([name, value]) => [name, String(value)])));
  return { status: 200, headers: { etag: etag(body) } };
}

function got(fake: FakeS3, { key, headers }: SeenRequest): Answer {
  const bytes = fake.objects.get(key);
  if (bytes === undefined) return refusal(404, "NoSuchKey");
  const expected = headers["if-match"];
  if (expected !== undefined && expected !== etag(bytes)) return refusal(412, "PreconditionFailed");
  const facts = { etag: etag(bytes), ...fake.metadata.get(key) };
  const [range, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? "") ?? [];
  if (range === undefined) return { status: 200, headers: facts, body: bytes };
  if (Number(from) >= bytes.length) return refusal(416, "InvalidRange");
  const body = bytes.subarray(Number(from), Number(to) + 1);
  const last = String(Number(from) + body.length - 1);
  const contentRange = `bytes ${String(from)}-${last}/${String(bytes.length)}`;
  return { status: 206, headers: { ...facts, "content-range": contentRange }, body };
}

function listed(fake: FakeS3, query: URLSearchParams): Answer {
  const after = query.get("continuation-token") ?? query.get("start-after") ?? "";
  const keys = [...fake.objects.keys()]
    .filter(
      (key) => key.startsWith(query.get("prefix") ?? "") && Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0,
    )
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const prefix = query.get("prefix") ?? "";
  const found = query.get("delimiter") === null ? keys : [...new Set(keys.map((key) => rolledUp(key, prefix)))];
  const page = found.slice(0, Math.min(PAGE_KEYS, Number(query.get("max-keys") ?? PAGE_KEYS)));
  const truncated = found.length > page.length;
  const encoding = fake.urlEncodes && query.get("encoding-type") === "url" ? "<EncodingType>url</EncodingType>" : "";
  const written = encoding === "" ? escaped : urlEncoded;
  const contents = page.map((key) => {
    const bytes = fake.objects.get(key);
    if (bytes === undefined) return `<CommonPrefixes><Prefix>${written(key)}</Prefix></CommonPrefixes>`;
    return `<Contents><Key>${written(key)}</Key><Size>${String(bytes.length)}</Size><ETag>${escaped(etag(bytes))}</ETag></Contents>`;
  });
  const next = truncated ? `<NextContinuationToken>${escaped(page.at(-1) ?? "")}</NextContinuationToken>` : "";
  const body = `<?xml version="1.0"?><ListBucketResult>${encoding}<IsTruncated>${String(truncated)}</IsTruncated>${contents.join("")}${next}</ListBucketResult>`;
  return { status: 200, headers: { "content-type": "application/xml" }, body };
}

/** A key, or the folder under the prefix that it lies in. */
function rolledUp(key: string, prefix: string): string {
  const slash = key.indexOf("/", prefix.length);
  return slash === -1 ? key : key.slice(0, slash + 1);
}

/** Large contents are asked for in many pieces. */
const etags = new WeakMap<Buffer, string>();

function etag(bytes: Buffer): string {
  const known = etags.get(bytes) ?? `"${createHash("md5").update(bytes).digest("hex")}"`;
  etags.set(bytes, known);
  return known;
}

function refusal(status: number, code: string, headers: Readonly<Record<string, string>> = {}): Answer {
  const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`;
  return { status, headers: { "content-type": "application/xml", ...headers }, body };
}

/** What XML 1.0 cannot hold is lost, as it is to servers that are written in Go. */
function escaped(text: string): string {
  return text
    .replace(/[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu, "\ufffd")
    .replace(/[&<>"\t\n\r]/g, (character) => `&#${String(character.charCodeAt(0))};`);
}

/** As S3 does with `encoding-type=url`: a blank is a plus. */
function urlEncoded(key: string): string {
  return encodeURIComponent(key).replaceAll("%20", "+").replaceAll("%2F", "/");
}
