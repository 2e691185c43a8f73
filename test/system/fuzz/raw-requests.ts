/** Requests as no client library would send them, and what comes back. */
import { connect } from "node:net";

/** Status of each answer that came until the service closed the connection, or fell silent. */
export async function sendRaw(
  address: string,
  pieces: readonly (Buffer | string)[],
  silentMs = 1_500,
): Promise<{ readonly statuses: readonly number[]; readonly text: string }> {
  const { hostname, port } = new URL(address);
  const socket = connect(Number(port), hostname);
  const got: Buffer[] = [];
  await new Promise<void>((resolve) => {
    socket.setTimeout(silentMs, () => {
      socket.destroy();
    });
    socket.on("data", (bytes: Buffer) => got.push(bytes));
    socket.on("error", () => undefined); // the service may hang up on what it does not want to hear
    socket.once("close", () => {
      resolve();
    });
    for (const piece of pieces) socket.write(piece);
  });
  const text = Buffer.concat(got).toString("latin1");
  return { statuses: [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status)), text };
}

export function request(method: string, target: string, body: Buffer | string = "", headers = ""): Buffer {
  const bytes = Buffer.from(body);
  const head = `${method} ${target} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n${headers}`;
  const type = /content-type/i.test(headers) ? "" : "content-type: application/json\r\n";
  const length = /content-length|transfer-encoding/i.test(headers) ? "" : `content-length: ${String(bytes.length)}\r\n`;
  return Buffer.concat([Buffer.from(`${head}${type}${length}\r\n`, "latin1"), bytes]);
}

/** Stands in every payload below: no answer and no log line may repeat it. */
export const SECRET = "s3cr3t-payload-4711";

const item = (json: string) => `{"item_list":{"items":[${json}],"batch_size":1}}`;
const deep = (levels: number, open: string, close: string) => open.repeat(levels) + close.repeat(levels);

/** Bodies for a submission, by what is odd about them. */
export const BODIES: Readonly<Record<string, () => Buffer | string>> = {
  "lists 100,000 deep": () => item(deep(100_000, "[", "]")),
  "objects 100,000 deep": () => item(deep(100_000, `{"${SECRET}":`, "1}").replace("1}", "1}")),
  "lists that are never closed": () => item("[".repeat(1_000_000)),
  "1e999": () => `{"workers":1e999,"item_list":{"items":[1e999,-1e999],"batch_size":1e999}}`,
  "a million digits": () => item("9".repeat(1_000_000)),
  "a million digits of workers": () => `{"workers":${"9".repeat(1_000_000)},"item_list":{"items":[1]}}`,
  "keys twice": () => `{"workers":1,"workers":"${SECRET}","item_list":{"items":[1]},"item_list":{"items":"${SECRET}"}}`,
  "__proto__ and constructor": () =>
    `{"__proto__":{"workers":1},"constructor":{"prototype":{"x":"${SECRET}"}},"item_list":{"items":[{"__proto__":{"polluted":1}}]}}`,
  "config with __proto__": () => `{"config":{"__proto__":{"polluted":"${SECRET}"}},"item_list":{"items":[1]}}`,
  "labels with __proto__": () => `{"labels":{"__proto__":"${SECRET}","constructor":"x"},"item_list":{"items":[1]}}`,
  "lone surrogates": () => `{"labels":{"\\ud800":"\\udfff ${SECRET}"},"item_list":{"items":["\\ud800"]}}`,
  "broken UTF-8": () => Buffer.concat([Buffer.from(`{"${SECRET}`), Buffer.from([0xc0, 0x80, 0xff, 0xfe]), Buffer.from('":1}')]), // prettier-ignore
  "overlong and half characters": () => Buffer.concat([Buffer.from('{"item_list":{"items":["'), Buffer.from([0xe2, 0x82]), Buffer.from('"]}}')]), // prettier-ignore
  "a byte order mark": () => `\ufeff${item("1")}`,
  "NUL bytes": () => `{"item_list":{"items":["\0${SECRET}"]}}\0\0`,
  "a million items": () => item(Array.from({ length: 1_000_000 }, () => "0").join(",")),
  "more than a million items": () => item("1,".repeat(1_000_001) + "1"),
  "a million keys": () => `{${Array.from({ length: 600_000 }, (_, at) => `"k${String(at)}":1`).join(",")}}`,
  "too many bytes": () => item(`"${"x".repeat(10 * 1024 * 1024)}"`),
  nothing: () => "",
  "only blanks": () => " \t\r\n".repeat(100_000),
  "numbers of every kind": () => item("-0,1E400,-1e-400,0.1e1,01,+1,.5,1.,0x10,NaN,Infinity"),
  "paths with every nasty character": () =>
    JSON.stringify({ delimited_files: { paths: ["file:///%00/../%2e%2e//\n\u202e'\"+%zz", `s3://../${SECRET}//%2f`], includes: ["[", "**/**/**/{a,b}{c,d}*", "\\"] } }), // prettier-ignore
};

/** Addresses, by what is odd about them; API, job and worker names stand in the same places. */
export const TARGETS = [
  "/v1/apis/..%2f..%2fetc/jobs", "/v1/apis/%2e%2e/jobs/%2e%2e/results", "/v1/apis/echo/jobs/%00", "/v1/apis/%00/jobs",
  "/v1/apis//jobs//", "//v1//apis", "/v1/apis/echo/../../../../etc/passwd", "/v1/apis/echo/jobs/../../..", "/%", "/%zz", "/%c0%ae",
  "/v1/apis/%ff%fe/jobs", "/v1/apis/__proto__", "/v1/apis/constructor/jobs", "/v1/apis/echo/jobs/__proto__", "/v1/apis/toString",
  "/v1/apis/%F0%9F%92%A9/jobs", `/v1/apis/${"a".repeat(5_000)}/jobs`, `/v1/apis/echo/jobs/${"0".repeat(9_000)}`,
  "/v1/apis/echo/jobs?limit=1e999", "/v1/apis/echo/jobs?limit=-1&cursor=%00", "/v1/apis/echo/jobs?__proto__=1", `/v1/apis/echo/jobs?cursor=${SECRET}`,
  "/v1/apis/echo/jobs/ffffffffffffffff/logs?worker=..%2f..%2f..&cursor=e30", "/v1/apis/echo/jobs/ffffffffffffffff/logs?worker=%00",
  "/echo?jobID=..%2f..", "/echo?jobID=%00", "/echo/jobID=", "/echo/__proto__", "/batch/..%2f", "/batch/%00", "/logs/%2e%2e?jobID=x",
  "/get/%00", "/delete/__proto__", "*", "http://127.0.0.1/v1/apis", "/v1/apis/echo#fragment", "/metrics/..", "/openapi.json/..%2f",
]; // prettier-ignore

/** Whole byte streams that are hardly HTTP. */
export const STREAMS: Readonly<Record<string, () => readonly (Buffer | string)[]>> = {
  "no HTTP at all": () => ["\0\xff\xfe garbage\r\n\r\n"],
  "TLS": () => [Buffer.from("16030100a5010000a10303", "hex")],
  "HTTP/2": () => ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  "a header of a megabyte": () => [`GET /v1/apis HTTP/1.1\r\nhost: x\r\nx-big: ${"x".repeat(1_000_000)}\r\n\r\n`],
  "100,000 headers": () => [`GET /v1/apis HTTP/1.1\r\nhost: 127.0.0.1\r\n${"a: b\r\n".repeat(100_000)}\r\n`],
  "two lengths": () => [request("POST", "/v1/apis/echo/jobs", "{}", "content-length: 2\r\ncontent-length: 7\r\n")],
  "a length and chunks": () => [request("POST", "/v1/apis/echo/jobs", "0\r\n\r\n", "content-length: 5\r\ntransfer-encoding: chunked\r\n")], // prettier-ignore
  "a negative length": () => [request("POST", "/v1/apis/echo/jobs", "{}", "content-length: -1\r\n")],
  "a huge length": () => [request("POST", "/v1/apis/echo/jobs", "{}", "content-length: 99999999999999999999\r\n")],
  "a length that lies": () => [request("POST", "/v1/apis/echo/jobs", "{}", "content-length: 5000\r\n")],
  "broken chunks": () => [request("POST", "/v1/apis/echo/jobs", `zz\r\n${SECRET}\r\n`, "transfer-encoding: chunked\r\n")],
  "a chunk of 2^64": () => [request("POST", "/echo", `ffffffffffffffff\r\n${SECRET}`, "transfer-encoding: chunked\r\n")],
  "chunks that never end": () => [request("POST", "/echo", "1\r\nx\r\n".repeat(50_000), "transfer-encoding: chunked\r\n")],
  "rubbish behind a good request": () => ["GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", `${SECRET}\r\n\r\n\0`],
  "a thousand requests at once": () => ["GET /v1/apis/x HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".repeat(1_000)],
  "gzip that is none": () => [request("PUT", "/v1/apis/echo2", `\x1f\x8b${SECRET}`, "content-type: application/gzip\r\n")],
  "an unknown type": () => [request("POST", "/v1/apis/echo/jobs", SECRET, "content-type: text/\0html\r\n")],
  "an idempotency key of bytes": () => [request("POST", "/v1/apis/echo/jobs", "{}", `idempotency-key: \xff\xfe${"k".repeat(300)}\r\n`)], // prettier-ignore
  "half a head, then silence": () => ["POST /v1/apis/echo/jobs HTTP/1.1\r\nhost: 127"],
  "an unknown method": () => ["BREW /v1/apis HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"],
}; // prettier-ignore
