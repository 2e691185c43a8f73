/** A bucket behind node:http that speaks as much S3 as a dataset needs: ListObjectsV2, and GET with Range and If-Match. */
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface FakeS3 {
  readonly endpoint: string;
  /** Contents of the bucket `data`, by key. */
  readonly objects: Map<string, Buffer>;
  /** When set, every call is answered with this error. */
  failWith: { readonly status: number; readonly code: string } | undefined;
  close(): Promise<void>;
}

/** Keys in a page, few, so that paging is seen. */
const PAGE_KEYS = 3;

export async function startFakeS3(): Promise<FakeS3> {
  const objects = new Map<string, Buffer>();
  const server = createServer((request, response) => {
    answer(fake, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const fake: FakeS3 = {
    endpoint: `http://127.0.0.1:${String(port)}`,
    objects,
    failWith: undefined,
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

function answer(fake: FakeS3, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "/", fake.endpoint);
  const [, bucket, ...rest] = url.pathname.split("/").map(decodeURIComponent);
  if (fake.failWith !== undefined) fault(response, fake.failWith.status, fake.failWith.code);
  else if (bucket !== "data") fault(response, 404, "NoSuchBucket");
  else if (url.searchParams.get("list-type") === "2") list(fake, url.searchParams, response);
  else get(fake, rest.join("/"), request, response);
}

function list(fake: FakeS3, query: URLSearchParams, response: ServerResponse): void {
  const after = query.get("continuation-token") ?? query.get("start-after") ?? "";
  const keys = [...fake.objects.keys()]
    .filter(
      (key) => key.startsWith(query.get("prefix") ?? "") && Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0,
    )
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const page = keys.slice(0, PAGE_KEYS);
  const truncated = keys.length > page.length;
  const contents = page.map((key) => {
    const bytes = fake.objects.get(key) ?? Buffer.alloc(0);
    return `<Contents><Key>${escaped(key)}</Key><Size>${String(bytes.length)}</Size><ETag>${escaped(etag(bytes))}</ETag></Contents>`;
  });
  const next = truncated ? `<NextContinuationToken>${escaped(page.at(-1) ?? "")}</NextContinuationToken>` : "";
  response.setHeader("content-type", "application/xml");
  response.end(
    `<?xml version="1.0"?><ListBucketResult><IsTruncated>${String(truncated)}</IsTruncated>${contents.join("")}${next}</ListBucketResult>`,
  );
}

function get(fake: FakeS3, key: string, request: IncomingMessage, response: ServerResponse): void {
  const bytes = fake.objects.get(key);
  if (bytes === undefined) return fault(response, 404, "NoSuchKey");
  const expected = request.headers["if-match"];
  if (expected !== undefined && expected !== etag(bytes)) return fault(response, 412, "PreconditionFailed");
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
  if (Number(from) >= bytes.length) return fault(response, 416, "InvalidRange");
  response.statusCode = 206;
  response.end(bytes.subarray(Number(from), Number(to) + 1));
}

function etag(bytes: Buffer): string {
  return `"${createHash("md5").update(bytes).digest("hex")}"`;
}

function fault(response: ServerResponse, status: number, code: string): void {
  response.statusCode = status;
  response.setHeader("content-type", "application/xml");
  response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`);
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${String(character.charCodeAt(0))};`);
}
