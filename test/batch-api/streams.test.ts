import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { JobView } from "../../services/batch-api/jobs/job-service.ts";
import { anApp } from "../support/an-app.ts";
import type { TestApp } from "../support/an-app.ts";

const opened: TestApp[] = [];

afterEach(async () => {
  for (const { app } of opened.splice(0)) await app.close();
});

/** An app that listens on loopback, with one job; `address` is that of the job. */
async function listening(): Promise<
  TestApp & { readonly port: number; readonly address: string; readonly job: string }
> {
  const test = await anApp();
  opened.push(test);
  await test.app.listen({ host: "127.0.0.1", port: 0 });
  const { port } = test.app.server.address() as AddressInfo;
  const payload = '{"item_list":{"items":[1]}}';
  const headers = { "content-type": "application/json" };
  const answer = await test.app.inject({ method: "POST", url: "/v1/apis/digits/jobs", headers, payload });
  const job = answer.json<{ job_id: string }>().job_id;
  return { ...test, port, job, address: `/v1/apis/digits/jobs/${job}` };
}

function ask(port: number, path: string): Socket {
  const socket = connect(port, "127.0.0.1");
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  return socket;
}

/** Resolves when the signal of a stream's producer aborts. */
function abortedOf(signal: AbortSignal): Promise<unknown> {
  return signal.aborted ? Promise.resolve() : once(signal, "abort");
}

describe("streams of a job", () => {
  it("give results, errors and logs as lines", async () => {
    const { app, address } = await listening();

    const results = await app.inject(`${address}/results?follow=true`);
    const errors = await app.inject(`${address}/errors`);
    const logs = await app.inject(`${address}/logs?limit=5&worker=1-1-0-aa`);
    const followed = await app.inject(`${address}/logs?follow=true`);

    expect(results.headers["content-type"]).toContain("application/x-ndjson");
    expect(results.body).toBe('{"index":0,"result":1}\n');
    expect(JSON.parse(errors.body)).toMatchObject({ index: 3, batch: 1, cause: "raised" });
    expect(logs.headers["millrace-cursor"]).toBe("after");
    expect(JSON.parse(logs.body)).toMatchObject({ text: "hello", at: "2026-01-02T03:04:05.000Z" });
    expect(followed.body).toBe(logs.body);
  });

  it("abort the producer when the client goes away in the middle", async () => {
    const { jobs, port, address } = await listening();
    const signals: AbortSignal[] = [];
    jobs.resultsOf = async function* (signal) {
      signals.push(signal);
      yield Buffer.from('{"index":0,"result":1}\n');
      await abortedOf(signal);
    };

    const socket = ask(port, `${address}/results?follow=true`);
    await once(socket, "data");
    const [signal] = signals;
    socket.destroy();

    if (signal === undefined) throw new Error("nothing was produced");
    await abortedOf(signal);
    expect(signal.aborted).toBe(true);
  });

  it("send their head at once when they follow, however long the first row is in coming", async () => {
    const { jobs, port, address } = await listening();
    // eslint-disable-next-line require-yield -- a job that never gives a row
    jobs.resultsOf = async function* (signal) {
      await abortedOf(signal);
    };

    const answer = await fetch(`http://127.0.0.1:${String(port)}${address}/results?follow=true`);

    expect(answer.status).toBe(200);
    await answer.body?.cancel();
  });

  it("pull no more than the client reads", async () => {
    const { jobs, port, address } = await listening();
    const chunk = Buffer.alloc(64 * 1024, 0x61);
    let pulled = 0;
    jobs.resultsOf = async function* () {
      for (; pulled < 2_000; pulled += 1) yield chunk;
    };

    const socket = ask(port, `${address}/results`);
    socket.pause();
    for (let seen = -1; pulled > seen;) {
      seen = pulled;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const stalledAt = pulled;
    socket.resume();
    let bytes = 0;
    socket.on("data", (piece: Buffer) => (bytes += piece.length));
    while (bytes < 2_000 * chunk.length) await once(socket, "data");
    socket.destroy();

    expect(stalledAt).toBeLessThan(400); // kernel buffers of both ends, and the read-ahead
    expect(pulled).toBe(2_000);
  }, 20_000);

  it("cut the connection when producing breaks, so that a part is not taken for all", async () => {
    const { jobs, port, address } = await listening();
    jobs.resultsOf = async function* () {
      yield Buffer.from('{"index":0}\n');
      await new Promise((resolve) => setImmediate(resolve));
      throw new Error("the store broke");
    };

    const answer = await fetch(`http://127.0.0.1:${String(port)}${address}/results`);

    await expect(answer.text()).rejects.toThrow();
  });

  it("become a problem when producing breaks at once", async () => {
    const { app, jobs, address } = await listening();
    // eslint-disable-next-line require-yield -- it breaks before it yields
    jobs.resultsOf = async function* () {
      throw new Error("the store broke");
    };

    const answer = await app.inject(`${address}/results`);

    expect(answer.statusCode).toBe(500);
    expect(answer.json()).toMatchObject({ code: "internal" });
  });
});

describe("events of a job", () => {
  it("are the job now, each change, and an end", async () => {
    const { app, address, job } = await listening();

    const answer = await app.inject(`${address}/events`);

    expect(answer.headers["content-type"]).toContain("text/event-stream");
    const [first, last] = answer.body.trimEnd().split("\n\n");
    expect(first).toMatch(/^event: job\ndata: \{/);
    expect(JSON.parse(first?.split("data: ")[1] ?? "")).toMatchObject({ job_id: job, state: "pending" });
    expect(last).toBe("event: end\ndata: {}");
  });

  it("beat while nothing happens, and stop for a client that has gone", async () => {
    const { jobs, clock, port, address, job } = await listening();
    const signals: AbortSignal[] = [];
    jobs.eventsOf = async function* (signal): AsyncIterable<JobView> {
      signals.push(signal);
      yield await jobs.get("digits", job);
      await abortedOf(signal);
    };
    const socket = ask(port, `${address}/events`);
    let heard = "";
    socket.on("data", (piece: Buffer) => (heard += piece.toString()));
    while (!heard.includes("event: job")) await once(socket, "data");
    await new Promise((resolve) => setImmediate(resolve));

    clock.beat();
    while (!heard.includes(": nothing new")) await once(socket, "data");
    socket.destroy();

    const [signal] = signals;
    if (signal === undefined) throw new Error("nothing was produced");
    await abortedOf(signal);
    expect(signal.aborted).toBe(true);
  });
});
