import { createServer } from "node:http";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FaultProxy } from "./fault-proxy.ts";
import type { Fault } from "./faults.ts";
import { S3_CREDENTIALS, S3_REGION, startS3Server } from "./s3-server.ts";

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly body: string;
}

let seen: Seen[];
let proxy: FaultProxy;
let server: ReturnType<typeof createServer>;
beforeEach(async () => {
  seen = [];
  server = createServer((request, response) => {
    void textOf(request).then((body) => {
      const { method = "", url: path = "", headers } = request;
      seen.push({ method, path, host: headers.host ?? "", body });
      const isBatch = body.includes("Entries");
      const entries = isBatch ? (JSON.parse(body) as { Entries: { Id: string }[] }).Entries : [];
      response.end(isBatch ? JSON.stringify({ Successful: entries.map(({ Id }) => ({ Id })) }) : `answer to ${body}`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  proxy = await FaultProxy.start({ target: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}` });
});
afterEach(async () => {
  await proxy.stop();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}

async function ask(body: string, headers: Readonly<Record<string, string>> = {}) {
  const answer = await fetch(`${proxy.endpoint}/p`, { method: "PUT", body, headers: { ...headers } });
  return { status: answer.status, text: await answer.text() };
}

function on(fault: Fault, options: { readonly nth?: readonly number[]; readonly probability?: number } = {}): void {
  proxy.rules.add({ name: fault.kind, method: "PUT", fault, ...options });
}

describe("the fault proxy", () => {
  it("forwards what no rule is about as it came, with the host that was asked", async () => {
    expect(await ask("a")).toEqual({ status: 200, text: "answer to a" });
    expect(seen).toEqual([{ method: "PUT", path: "/p", host: new URL(proxy.endpoint).host, body: "a" }]);
  });

  it("answers in the server's place, in the manner of the service", async () => {
    on({ kind: "refuse", status: 503, code: "SlowDown" }, { nth: [1, 2] });

    expect((await ask("a")).text).toContain("<Code>SlowDown</Code>");
    expect((await ask("a", { "x-amz-target": "AmazonSQS.SendMessage" })).text).toContain('"__type":"SlowDown"');
    expect((await ask("a")).status).toBe(200);
    expect(seen).toHaveLength(1);
    expect(proxy.rules.fired("refuse")).toBe(2);
  });

  it("loses a request before it is done, and a reply after", async () => {
    on({ kind: "loseRequest" }, { nth: [1] });
    await expect(ask("lost")).rejects.toThrow("fetch failed");
    expect(seen).toEqual([]);

    proxy.rules.clear();
    on({ kind: "loseReply" }, { nth: [1] });
    await expect(ask("done")).rejects.toThrow("fetch failed");
    expect(seen.map(({ body }) => body)).toEqual(["done"]);
  });

  it("lands a request behind a newer one", async () => {
    on({ kind: "landLate" }, { nth: [1] });
    await expect(ask("older")).rejects.toThrow("fetch failed");
    await ask("newer");

    expect(await proxy.landLate()).toBe(1);
    expect(seen.map(({ body }) => body)).toEqual(["newer", "older"]);
  });

  it("cuts an answer within its body", async () => {
    on({ kind: "cutReply" });
    const answer = await fetch(`${proxy.endpoint}/p`, { method: "PUT", body: "a" });

    expect(answer.status).toBe(200);
    await expect(answer.text()).rejects.toThrow();
  });

  it("answers some entries of a batch as failed, and has the others done", async () => {
    on({ kind: "failEntries", code: "InternalError", senderFault: false, of: (at) => at === 1 });
    const Entries = [{ Id: "0" }, { Id: "1" }, { Id: "2" }];
    const { text } = await ask(JSON.stringify({ Entries }), { "x-amz-target": "AmazonSQS.SendMessageBatch" });

    expect(JSON.parse(text)).toEqual({
      Successful: [{ Id: "0" }, { Id: "2" }],
      Failed: [{ Id: "1", Code: "InternalError", SenderFault: false, Message: "by the fault proxy" }],
    });
    expect(JSON.parse(seen[0]?.body ?? "")).toEqual({ Entries: [{ Id: "0" }, { Id: "2" }] });
  });

  it("refuses what comes faster than it may", async () => {
    on({ kind: "throttle", perSecond: 2 });
    const statuses = [await ask("a"), await ask("b"), await ask("c")].map(({ status }) => status);

    expect(statuses).toEqual([200, 200, 503]);
    expect(proxy.rules.fired("throttle")).toBe(1);
  });

  it("fires by chance the same way for the same seed", async () => {
    on({ kind: "refuse", status: 500, code: "InternalError" }, { probability: 0.5 });
    const statuses: number[] = [];
    for (let count = 0; count < 20; count++) statuses.push((await ask("a")).status);

    expect(new Set(statuses)).toEqual(new Set([200, 500]));
    expect(proxy.rules.fired("refuse")).toBe(statuses.filter((status) => status === 500).length);
  });

  it("cuts and freezes all there is until it heals", async () => {
    proxy.cut();
    await expect(ask("a")).rejects.toThrow("fetch failed");
    proxy.heal();
    expect((await ask("b")).status).toBe(200);

    proxy.freeze();
    const frozen = ask("c");
    while (proxy.rules.fired("frozen") === 0) await new Promise((resolve) => setImmediate(resolve));
    proxy.heal();
    await expect(frozen).rejects.toThrow("fetch failed");
    expect((await ask("d")).status).toBe(200);
    expect(seen.map(({ body }) => body)).toEqual(["b", "d"]);
    expect(proxy.rules.fired("cut")).toBeGreaterThan(0);
  });
});

describe("the fault proxy before versitygw", () => {
  it("keeps signatures valid", async () => {
    const gateway = await startS3Server(["proxied"]);
    const before = await FaultProxy.start({ target: gateway.endpoint });
    const client = new S3Client({
      endpoint: before.endpoint,
      region: S3_REGION,
      credentials: S3_CREDENTIALS,
      forcePathStyle: true,
    });
    try {
      const Body = Buffer.alloc(3_000_000, "x");
      await client.send(new PutObjectCommand({ Bucket: "proxied", Key: "a/b c+d", Body }));
      const got = await client.send(new GetObjectCommand({ Bucket: "proxied", Key: "a/b c+d", Range: "bytes=1-5" }));

      expect(await got.Body?.transformToString()).toBe("xxxxx");
    } finally {
      client.destroy();
      await before.stop();
      await gateway.stop();
    }
  });
});
