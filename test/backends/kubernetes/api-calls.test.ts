import { ApiException } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import type { Clock } from "../../../services/backends/clock.ts";
import { ApiCalls, refusal, unwell } from "../../../services/backends/kubernetes/api-calls.ts";
import { Unwell } from "../../../services/backends/unwell.ts";
import { PoolRefused } from "../../../services/backends/worker-pool.ts";

const clock: Clock = { monotonicMs: () => 0, wallMs: () => 0, sleep: () => Promise.resolve() };
const answer = (code: number, message: string) => new ApiException(code, "", JSON.stringify({ message }), {});

describe("ApiCalls", () => {
  it.each([
    [answer(429, "slow down"), 4],
    [answer(503, "no"), 4],
    [new TypeError("fetch failed"), 4],
    [answer(422, "bad"), 1],
  ])("asks a limited number of times: %s", async (error, times) => {
    const asked: string[] = [];
    const random = { hex: () => "", fraction: () => 0.5 };
    const calls = new ApiCalls({ clock, random, onRequest: (verb, resource) => asked.push(`${verb} ${resource}`) });

    const kind = times === 1 ? ApiException : Unwell;
    await expect(calls.ask("create", "jobs", () => Promise.reject(error))).rejects.toBeInstanceOf(kind);

    expect(asked).toEqual(Array.from({ length: times }, () => "create jobs"));
  });
});

describe("refusal", () => {
  it.each([
    [422, "spec is invalid", true],
    [400, 'admission webhook "p" denied the request: no', true],
    [403, "jobs is forbidden: a policy says no", true],
    [403, 'jobs.batch is forbidden: User "u" cannot create resource "jobs"', false],
    [403, "jobs.batch is forbidden: exceeded quota: q", false],
    [403, "unable to create new content in namespace n because it is being terminated", false],
  ])("%d %s: for good: %s", (code, words, forGood) => {
    const error = refusal("the workers", answer(code, words));

    expect(error instanceof PoolRefused).toBe(forGood);
    expect(error instanceof Unwell).toBe(!forGood);
    expect(error.message).toContain(words);
  });
});

describe("an answer that says what is wrong around the service", () => {
  it.each([
    [
      403,
      'pods is forbidden: User "u" cannot list resource "pods"',
      /lacks a right in its namespace: .*grant it by a role/,
    ],
    [401, "Unauthorized", /does not know the service \(Unauthorized\); give it a valid service account/],
    [404, "the server could not find the requested resource", /^its workers: the server could not find/],
  ])("is told in one sentence: %d", (code, words, sentence) => {
    const error = unwell("its workers", answer(code, words));

    expect(error).toBeInstanceOf(Unwell);
    expect(error.message).toMatch(sentence);
  });

  it("is no surprise of ours made harmless", () => {
    expect(unwell("its workers", new RangeError("no"))).toBeInstanceOf(RangeError);
  });
});
