import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { AppendConflict } from "../../../services/backends/object-store.ts";
import { S3Store } from "../../../services/backends/object-store.s3.ts";
import { FaultProxy } from "../support/fault-proxy.ts";
import type { Fault } from "../support/faults.ts";
import { S3_CREDENTIALS, S3_REGION, type S3Server, startS3Server } from "../support/s3-server.ts";

const FAULTS: Readonly<Record<string, Fault>> = {
  "409 on a race": { kind: "refuse", status: 409, code: "ConditionalRequestConflict" },
  "412 where nothing was done": { kind: "refuse", status: 412, code: "PreconditionFailed" },
  "429": { kind: "refuse", status: 429, code: "TooManyRequests" },
  "503 Slow Down": { kind: "refuse", status: 503, code: "SlowDown" },
  "500": { kind: "refuse", status: 500, code: "InternalError" },
  "lost replies": { kind: "loseReply" },
  "lost requests": { kind: "loseRequest" },
  "replies cut within": { kind: "cutReply" },
  "a PUT that lands after a newer one": { kind: "landLate" },
};
const APPENDS = 12;

let server: S3Server;
let proxy: FaultProxy;
let store: S3Store;
let direct: S3Store;
let buckets = 0;
beforeAll(async () => {
  server = await startS3Server();
});
afterAll(async () => await server.stop());
beforeEach(async () => {
  const bucket = `faults-${String(++buckets)}`;
  await server.makeBucket(bucket);
  proxy = await FaultProxy.start({ target: server.endpoint });
  store = openStore(bucket, proxy.endpoint);
  direct = openStore(bucket, server.endpoint);
});
afterEach(async () => await proxy.stop());

function openStore(bucket: string, endpoint: string): S3Store {
  return new S3Store({ bucket, access: { endpoint, region: S3_REGION, credentials: S3_CREDENTIALS } });
}

async function textOf(key: string): Promise<string | undefined> {
  return (await direct.get(key))?.bytes.toString();
}

async function appendLines(): Promise<string> {
  let written = "";
  for (let number = 0; number < APPENDS; number++) {
    const line = `line ${String(number)}\n`;
    await store.append("a/log", Buffer.from(line), written.length);
    written += line;
  }
  return written;
}

interface Count {
  readonly count: number;
  readonly by: string;
}

/** Counts a record up; answers the counts that it was told to have made. */
async function countUp(through: S3Store, by: string, times: number): Promise<number[]> {
  const made: number[] = [];
  for (let time = 0; time < times; time++) {
    const found = await through.read("a/record");
    const count = found === undefined ? 1 : (JSON.parse(found.bytes.toString()) as Count).count + 1;
    const bytes = Buffer.from(JSON.stringify({ count, by }));
    if ((await through.swap("a/record", bytes, found?.version)) !== undefined) made.push(count);
  }
  return made;
}

describe.each(Object.entries(FAULTS))("S3 with %s", (_name, fault) => {
  it("has what was appended once and in order, also when older writes land", async () => {
    proxy.rules.add({ name: "put", method: "PUT", nth: [1, 4, 5, 9], fault });
    const written = await appendLines();

    expect(await textOf("a/log")).toBe(written);
    await proxy.landLate();
    expect(await textOf("a/log")).toBe(written);
    expect(proxy.rules.fired("put")).toBe(4);
  });

  it("puts an object once", async () => {
    proxy.rules.add({ name: "put", method: "PUT", nth: [1], fault });
    expect(await store.put("a/object", Buffer.from("mine"))).toBe(true);
    expect(await direct.put("a/object", Buffer.from("other"))).toBe(false);

    await proxy.landLate();
    expect(await textOf("a/object")).toBe("mine");
    expect(proxy.rules.fired("put")).toBe(1);
  });

  it("has one winner of each swap", async () => {
    proxy.rules.add({ name: "put", method: "PUT", nth: [1, 3, 4, 7], fault });
    const made = (await Promise.all([countUp(store, "one", 10), countUp(direct, "other", 10)])).flat();

    const value = (await direct.read("a/record"))?.bytes.toString() ?? "";
    expect(new Set(made).size).toBe(made.length);
    expect((JSON.parse(value) as Count).count).toBeGreaterThanOrEqual(Math.max(...made));
    await proxy.landLate();
    expect((await direct.read("a/record"))?.bytes.toString()).toBe(value);
    expect(proxy.rules.fired("put")).toBe(4);
  });
});

describe.each([
  ["503 Slow Down", FAULTS["503 Slow Down"]],
  ["lost replies", FAULTS["lost replies"]],
  ["replies cut within", FAULTS["replies cut within"]],
] as const)("S3 reads with %s", (_name, fault = { kind: "loseReply" }) => {
  it("gives whole objects", async () => {
    const bytes = Buffer.alloc(300_000, "abc");
    await direct.put("a/object", bytes);
    proxy.rules.add({ name: "get", method: "GET", nth: [1, 2], fault });

    expect((await store.get("a/object"))?.bytes.equals(bytes)).toBe(true);
    expect(proxy.rules.fired("get")).toBe(2);
  });
});

it("writes as fast as S3 lets it, and loses nothing", async () => {
  proxy.rules.add({ name: "throttle", fault: { kind: "throttle", perSecond: 4 } });
  const written = await appendLines();

  expect(await textOf("a/log")).toBe(written);
  expect(proxy.rules.fired("throttle")).toBeGreaterThan(0);
});

it("waits until S3 is no longer cut off", async () => {
  proxy.cut();
  const appended = appendLines();
  while (proxy.rules.fired("cut") < 2) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(await textOf("a/log")).toBe(undefined);
  proxy.heal();

  expect(await appended).toBe(await textOf("a/log"));
});

it("refuses a second writer of a log, whatever was lost", async () => {
  await direct.append("a/log", Buffer.from("theirs"), 0);
  proxy.rules.add({ name: "put", method: "PUT", nth: [1], fault: { kind: "loseReply" } });

  await expect(store.append("a/log", Buffer.from("ours"), 0)).rejects.toThrow(AppendConflict);
  expect(await textOf("a/log")).toBe("theirs");
  expect(proxy.rules.fired("put")).toBe(1);
});
