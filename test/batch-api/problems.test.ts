import { readFileSync, writeFileSync } from "node:fs";
import type { InjectOptions } from "fastify";
import { describe, expect, it } from "vitest";
import { LIMITS } from "../../services/protocol/limits.ts";
import { Problem } from "../../services/protocol/problems.ts";
import { anApp } from "../support/an-app.ts";

const QUEUE = '{"arn":"arn:aws:sqs:eu-west-1:123456789012:q","max_receive_count":1}';
const GOLDEN = new URL("../golden/problems.json", import.meta.url);
const JOBS = "/v1/apis/digits/jobs";

const item = (fields: string) => `{${fields}${fields === "" ? "" : ","}"item_list":{"items":[1]}}`;
const lister = (fields: string) => `{"delimited_files":{${fields}}}`;
const nested = (levels: number) => `{"item_list":{"items":[${"[".repeat(levels)}${"]".repeat(levels)}]}}`;

/** Bodies that are wrong, by what is wrong with them. */
const BODIES: Readonly<Record<string, string | Buffer>> = {
  "no body": "",
  "no object": "[1]",
  null: "null",
  "not closed": '{"workers":1',
  "not JSON": "workers=1",
  "single quotes": "{'workers':1}",
  "something after the end": '{"workers":1} {"workers":2}',
  "a byte order mark": Buffer.from('\uFEFF{"item_list":{"items":[1]}}'),
  "broken UTF-8": Buffer.concat([Buffer.from('{"config":{"a":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}}')]),
  "a control character in a text": '{"labels":{"a":"b\nc"}}',
  "a bad escape": '{"labels":{"a":"\\x41"}}',
  "a leading zero": item('"workers":01'),
  "10,000 levels": nested(10_000),
  "no input": "{}",
  "two inputs": '{"item_list":{"items":[1]},"delimited_files":{"paths":["/data"]}}',
  "an input of null": '{"item_list":null}',
  "an input of text": '{"file_path_lister":"/data"}',
  "an unknown field": item('"retries":3'),
  "a misspelt field": item('"timout":3'),
  "a field in the wrong case": item('"Workers":3'),
  "a field __proto__": item('"__proto__":{"workers":3}'),
  "an unknown field of an input": '{"item_list":{"items":[1],"batchsize":5}}',
  "zero workers": item('"workers":0'),
  "negative workers": item('"workers":-1'),
  "workers as text": item('"workers":"2"'),
  "half a worker": item('"workers":1.5'),
  "too many workers": item('"workers":10001'),
  "1e999 workers": item('"workers":1e999'),
  "2^80 workers": item('"workers":1208925819614629174706176'),
  "workers of null": item('"workers":null'),
  "zero batch_size": '{"item_list":{"items":[1],"batch_size":0}}',
  "batch_size as text": '{"item_list":{"items":[1],"batch_size":"10"}}',
  "no items": '{"item_list":{"items":[]}}',
  "items missing": '{"item_list":{"batch_size":1}}',
  "items as object": '{"item_list":{"items":{}}}',
  "no paths": lister('"paths":[]'),
  "paths missing": lister('"includes":["**"]'),
  "paths as text": lister('"paths":"/data"'),
  "a path of number": lister('"paths":["/data",3]'),
  "an empty path": lister('"paths":[""]'),
  "a path with NUL": lister('"paths":["/data\\u0000"]'),
  "a path of half a pair": lister('"paths":["/data\\ud800"]'),
  "a long path": lister(`"paths":["/${"x".repeat(LIMITS.pathCharactersMax)}"]`),
  "both spellings of paths": lister('"paths":["/a"],"s3_paths":["s3://b/"]'),
  "includes as text": lister('"paths":["/a"],"includes":"*"'),
  "config as list": item('"config":[]'),
  "a big integer in config": item('"config":{"a":[{"b":9007199254740993}]}'),
  "__proto__ in config": item('"config":{"__proto__":{}}'),
  "zero timeout": item('"timeout":0'),
  "timeout as text": item('"timeout":"1h"'),
  "zero attempts": item('"attempts":0'),
  "31 attempts": item('"attempts":31'),
  "isolate as text": item('"isolate":"true"'),
  "zero batch_timeout": item('"batch_timeout":0'),
  "priority too high": item('"priority":1001'),
  "labels as list": item('"labels":["a"]'),
  "a label of number": item('"labels":{"a":1}'),
  "a long label": item(`"labels":{"a":"${"x".repeat(129)}"}`),
  "a queue without arn": item('"sqs_dead_letter_queue":{"max_receive_count":1}'),
  "a queue that is no ARN": item('"dead_letter_queue":{"arn":"failed-batches"}'),
  "a queue by both names": item(`"dead_letter_queue":${QUEUE},"sqs_dead_letter_queue":${QUEUE}`),
  "a queue and other attempts": item(`"attempts":3,"sqs_dead_letter_queue":${QUEUE}`),
  "a queue and isolation": item(`"isolate":true,"dead_letter_queue":${QUEUE}`),
  "a queue with isolation and other attempts": item(`"isolate":true,"attempts":3,"dead_letter_queue":${QUEUE}`),
  "many faults at once": '{"workers":0,"timout":1,"item_list":{"items":[],"batch_size":-1},"priority":"high"}',
};

/** Requests that are wrong beside their body. */
const REQUESTS: Readonly<Record<string, InjectOptions>> = {
  "an unknown API": { method: "GET", url: "/v1/apis/nobody" },
  "an unknown job": { method: "GET", url: `${JOBS}/0123456789abcdef` },
  "results of an unknown job": { method: "GET", url: `${JOBS}/0123456789abcdef/results?follow=true` },
  "a limit of text": { method: "GET", url: `${JOBS}?limit=abc` },
  "a limit of nothing": { method: "GET", url: `${JOBS}?limit=` },
  "a limit of 0": { method: "GET", url: `${JOBS}?limit=0` },
  "a limit twice": { method: "GET", url: `${JOBS}?limit=1&limit=2` },
  "an unknown state": { method: "GET", url: `${JOBS}?state=done` },
  "a misspelt parameter": { method: "GET", url: `${JOBS}?limti=3` },
  "follow as 1": { method: "GET", url: `${JOBS}/x/results?follow=yes` },
  "an unknown address": { method: "GET", url: "/v1/nothing/here/at/all" },
  "a wrong method": { method: "PUT", url: JOBS },
  "DELETE of all APIs": { method: "DELETE", url: "/v1/apis" },
  "a form": {
    method: "POST",
    url: JOBS,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    payload: Buffer.from("workers=1"),
  },
  "a body of 10 MiB and a byte": {
    method: "POST",
    url: JOBS,
    headers: { "content-type": "application/json" },
    payload: Buffer.alloc(LIMITS.requestBytesMax + 1, 0x20),
  },
  "a reserved name": {
    method: "PUT",
    url: "/v1/apis/metrics",
    headers: { "content-type": "application/gzip" },
    payload: Buffer.from("x"),
  },
  "a name of capitals": {
    method: "PUT",
    url: "/v1/apis/Digits",
    headers: { "content-type": "application/gzip" },
    payload: Buffer.from("x"),
  },
  "a project of 32 MiB and a byte": {
    method: "PUT",
    url: "/v1/apis/digits",
    headers: { "content-type": "application/gzip" },
    payload: Buffer.alloc(LIMITS.projectBytesMax + 1),
  },
  "a project of nothing": { method: "PUT", url: "/v1/apis/digits", headers: { "content-type": "application/gzip" } },
  "a family's results, followed": { method: "GET", url: `${JOBS}/x/results?family=true&follow=true` },
  "another site's page": {
    method: "POST",
    url: `${JOBS}/x/stop`,
    headers: { "sec-fetch-site": "cross-site" },
  },
};

/** Bodies of a retry that are wrong, by what is wrong with them. */
const RETRIES: Readonly<Record<string, string>> = {
  "of an unknown job": "",
  "no object": "[]",
  "a misspelt field": '{"verion":"same"}',
  "a submission's input": '{"item_list":{"items":[1]}}',
  "unknown items": '{"items":"skipped"}',
  "items of a list": '{"items":[1,2]}',
  "an unknown version": '{"version":"v1"}',
  "several faults": '{"items":"","version":null,"workers":0,"batch_size":"5","labels":[]}',
};

async function problemsOfAll(): Promise<Record<string, unknown>> {
  const { app } = await anApp();
  const told: Record<string, unknown> = {};
  const requests = { ...REQUESTS };
  for (const [name, body] of Object.entries(BODIES)) {
    const headers = { "content-type": "application/json" };
    requests[`body: ${name}`] = { method: "POST", url: JOBS, headers, payload: Buffer.from(body) };
  }
  for (const [name, body] of Object.entries(RETRIES)) {
    const headers = { "content-type": "application/json" };
    requests[`retry: ${name}`] = { method: "POST", url: `${JOBS}/x/retry`, headers, payload: Buffer.from(body) };
  }
  for (const [name, request] of Object.entries(requests)) {
    const answer = await app.inject(request);
    expect(answer.headers["content-type"], name).toContain("application/problem+json");
    told[name] = answer.json();
  }
  return told;
}

describe("what the modern door says to wrong requests", () => {
  it("is what test/golden/problems.json says (UPDATE=1 writes it anew)", async () => {
    const told = await problemsOfAll();
    if (process.env["UPDATE"] === "1") writeFileSync(GOLDEN, `${JSON.stringify(told, null, 2)}\n`);

    expect(told).toEqual(JSON.parse(readFileSync(GOLDEN, "utf8")));
  }, 30_000);

  it("names field, what was found, and the fix in every fault of a body", () => {
    const told = JSON.parse(readFileSync(GOLDEN, "utf8")) as Record<string, { errors: Record<string, string>[] }>;
    const bodies = Object.entries(told).filter(([name]) => name.startsWith("body: ") || /^retry: (?!of)/.test(name));

    for (const [name, { errors }] of bodies) {
      expect(errors.length, name).toBeGreaterThan(0);
      for (const { field, found, fix } of errors) expect([field, found, fix].every(Boolean), name).toBe(true);
    }
  });

  it("says of surprises only where to look", async () => {
    const { app, jobs } = await anApp();
    jobs.refusal = new Error("secret payload");

    const answer = await app.inject({ method: "GET", url: `${JOBS}/x` });

    expect(answer.statusCode).toBe(500);
    expect(answer.body).not.toContain("secret");
    expect(answer.json<{ detail: string }>().detail).toContain(String(answer.headers["x-request-id"]));
  });

  it("keeps the status and the faults of a service's own problem", async () => {
    const { app, jobs } = await anApp();
    const fault = { field: "delimited_files.paths[0]", found: "a path outside the allowed folders", fix: "allow it" };
    jobs.refusal = new Problem("source_outside_roots", "", [fault]);
    const payload = '{"delimited_files":{"paths":["/etc"]}}';

    const answer = await app.inject({
      method: "POST",
      url: JOBS,
      headers: { "content-type": "application/json" },
      payload,
    });

    expect(answer.statusCode).toBe(403);
    expect(answer.json()).toMatchObject({ code: "source_outside_roots", errors: [fault] });
  });
});
