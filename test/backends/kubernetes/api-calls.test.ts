import { ApiException } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import type { Clock } from "../../../services/backends/clock.ts";
import { ApiCalls, refusal } from "../../../services/backends/kubernetes/api-calls.ts";
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

    await expect(calls.ask("create", "jobs", () => Promise.reject(error))).rejects.toThrow();

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
    expect(error.message).toContain(words);
  });
});
