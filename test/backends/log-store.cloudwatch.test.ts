import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { realClock, realRandom } from "../../services/backends/clock.real.ts";
import { CloudWatchLogStore } from "../../services/backends/log-store.cloudwatch.ts";
import type { CloudWatchLogStoreOptions } from "../../services/backends/log-store.cloudwatch.ts";
import type { LogLine } from "../../services/backends/log-store.ts";
import { type FakeLogs, refusal, startFakeLogs } from "../support/fake-logs.ts";

const DAY_MS = 24 * 3600_000;
let server: FakeLogs;
let said: string[];
const opened: CloudWatchLogStore[] = [];
beforeEach(async () => {
  server = await startFakeLogs();
  said = [];
});
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close(0);
  await server.close();
});

/** Of the clock below; a loaded machine needs some. */
const PATIENT_SECONDS = 1_000;
/** Pauses pass a hundred times as fast, and grow as they would. */
const pauses: number[] = [];
const fastClock = {
  ...realClock,
  sleep: (milliseconds: number, signal?: AbortSignal) => {
    pauses.push(milliseconds);
    return realClock.sleep(milliseconds / 100, signal);
  },
};

function openStore(options: Partial<CloudWatchLogStoreOptions> = {}): CloudWatchLogStore {
  const store = new CloudWatchLogStore({
    group: "g",
    endpoint: server.endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "a", secretAccessKey: "b" },
    clock: fastClock,
    random: realRandom,
    say: (sentence) => said.push(sentence),
    readsPerSecond: 1_000,
    ...options,
  });
  opened.push(store);
  return store;
}

function lineOf(text: string, at = Date.now()): LogLine {
  return { at, worker: "w", from: "handler", text };
}

function written(): string[] {
  return (server.streams.get("j/w") ?? []).map(({ message }) => message.replace(/^\[[^\]]*\] /, ""));
}

describe("a CloudWatch log store that writes", () => {
  it("keeps every call within 1 MiB, 10,000 events and the order of times", async () => {
    const store = openStore({ burstBytes: 1e9 });
    const long = "ü".repeat(100_000);
    await store.append(
      "j",
      "w",
      Array.from({ length: 30 }, () => lineOf(long)),
    );
    await store.append(
      "j",
      "w",
      Array.from({ length: 25_000 }, (_, number) => lineOf(String(number), Date.now() - number)),
    );

    expect(await store.flush(PATIENT_SECONDS)).toBe(0);
    expect(written()).toHaveLength(25_030);
    expect(said).toEqual([]);
    expect(Math.max(...server.put().map((events) => events.length))).toBe(10_000);
  });

  it("cuts a line that is too long between its characters", async () => {
    const store = openStore();
    const text = "€".repeat(100_000);
    await store.append("j", "w", [lineOf(text)]);

    await store.flush(PATIENT_SECONDS);

    expect(written()).toHaveLength(2);
    expect(written().join("")).toBe(text);
  });

  it("gives a line that is too old or too new a time that is taken, and reads its own again", async () => {
    const store = openStore();
    const now = Date.now();
    const lines = [lineOf("old", now - 30 * DAY_MS), lineOf("now", now), lineOf("new", now + DAY_MS)];
    await store.append("j", "w", lines);
    await store.flush(PATIENT_SECONDS);

    expect((await store.read("j", {})).lines).toEqual(lines);
    expect(said).toEqual([]);
    expect(server.put()).toHaveLength(2); // no call spans more than a day
  });

  it("sends lone surrogates as what they are in UTF-8", async () => {
    const store = openStore();
    await store.append("j", "w", [lineOf("a\ud800b")]);

    await store.flush(PATIENT_SECONDS);

    expect(written()).toEqual(["a\ufffdb"]);
  });

  it("makes a stream once, also where it is there already", async () => {
    server.streams.set("j/w", []);
    const store = openStore();
    for (const text of ["a", "b"]) {
      await store.append("j", "w", [lineOf(text)]);
      await store.flush(PATIENT_SECONDS);
    }

    expect(written()).toEqual(["a", "b"]);
    expect(server.calls.filter(({ operation }) => operation === "CreateLogStream")).toHaveLength(1);
  });

  it("waits longer after each throttled call, and loses nothing", async () => {
    const store = openStore();
    pauses.length = 0;
    server.script.set(
      "PutLogEvents",
      Array.from({ length: 5 }, () => refusal("ThrottlingException")),
    );
    await store.append("j", "w", [lineOf("a")]);
    while (written().length === 0) await realClock.sleep(5);

    const [, ...backOffs] = pauses;
    expect(backOffs.map((milliseconds, at) => milliseconds >= 250 * 2 ** at && milliseconds <= 500 * 2 ** at)).toEqual(
      Array.from({ length: 5 }, () => true),
    );
    expect(said).toEqual([]);
  });

  it("shows a line once whose call was answered with silence and sent again", async () => {
    const store = openStore();
    server.script.set("PutLogEvents", [{ ...refusal("ServiceUnavailableException", 503), done: true }]);
    await store.append("j", "w", [lineOf("a"), lineOf("b")]);
    await store.flush(PATIENT_SECONDS);

    expect(written()).toEqual(["a", "b", "a", "b"]);
    expect((await store.read("j", {})).lines.map(({ text }) => text)).toEqual(["a", "b"]);
  });

  it("leaves out the one event that is called invalid, and counts it", async () => {
    const store = openStore();
    server.always = ({ operation, input }) =>
      operation === "PutLogEvents" && JSON.stringify(input).includes("poison")
        ? refusal("InvalidParameterException")
        : undefined;
    await store.append(
      "j",
      "w",
      ["a", "b", "poison", "c", "d"].map((text) => lineOf(text)),
    );

    await store.flush(PATIENT_SECONDS);

    const [cut] = written().filter((text) => text.includes("cut here"));
    expect(written().filter((text) => text !== cut)).toEqual(["a", "b", "c", "d"]);
    expect(cut).toMatch(/^1 lines \(\d+ bytes\) were cut here: the log service did not take them$/);
  });

  it("cuts what exceeds its rate, and counts it", async () => {
    const store = openStore({ bytesPerSecond: 1, burstBytes: 100 });
    await store.append(
      "j",
      "w",
      Array.from({ length: 30 }, () => lineOf("123456789")),
    );

    await store.flush(PATIENT_SECONDS);

    expect(written()).toHaveLength(11);
    expect(written().at(-1)).toBe("20 lines (200 bytes) were cut here: a worker may log 1 bytes a second");
  });

  it("numbers the requests that it makes", async () => {
    const requests: string[] = [];
    const store = openStore({ onRequest: (operation, outcome) => requests.push(`${operation} ${outcome}`) });
    server.script.set("PutLogEvents", [refusal("ThrottlingException")]);
    await store.append("j", "w", [lineOf("a")]);
    await store.flush(PATIENT_SECONDS);

    expect(requests).toEqual(["CreateLogStream answered", "PutLogEvents throttled", "PutLogEvents answered"]);
  });
});

describe("a CloudWatch log store whose service does not take lines", () => {
  it("says once that the group is missing, and goes on when it is there", async () => {
    const store = openStore();
    server.always = ({ operation }) =>
      operation === "CreateLogStream" ? refusal("ResourceNotFoundException") : undefined;
    await store.append("j", "w", [lineOf("a")]);
    expect(await store.flush(50)).toBe(1);
    server.always = undefined;
    expect(await store.flush(PATIENT_SECONDS)).toBe(0);

    expect(said).toEqual([
      "log group g does not exist in this region: create it, or set MILLRACE_LOG_GROUP to one that does; lines wait in memory and the oldest are cut when it is full",
      "log group g takes lines again",
    ]);
    expect(written()).toEqual(["a"]);
  });

  it("names the right that is denied", async () => {
    const store = openStore();
    server.always = () => refusal("AccessDeniedException");
    await store.append("j", "w", [lineOf("a")]);
    await store.flush(50);

    expect(said).toHaveLength(1);
    expect(said[0]).toContain(
      "log group g refuses CreateLogStream: grant this process's role logs:CreateLogStream on it",
    );
    await expect(store.read("j", {})).rejects.toThrow("grant this process's role logs:FilterLogEvents");
  });

  it("keeps its memory bounded, cuts the oldest lines and counts them", async () => {
    const store = openStore({ bufferBytesMax: 100_000, burstBytes: 1e9 });
    server.always = () => refusal("ServiceUnavailableException", 503);
    for (let number = 0; number < 5_000; number++)
      await store.append("j", "w", [lineOf(`${String(number)} ${"x".repeat(80)}`)]);
    server.always = undefined;

    await store.flush(PATIENT_SECONDS);

    const cut = /^(\d+) lines \(\d+ bytes\) were cut here/.exec(written()[0] ?? "")?.[1];
    expect(Number(cut) + written().length - 1).toBe(5_000);
    expect(written().length).toBeGreaterThan(100);
    expect(written().at(-1)).toMatch(/^4999 /);
  });

  it("says how many lines a drain lost, and takes no longer than it may", async () => {
    const store = openStore();
    server.always = () => refusal("ServiceUnavailableException", 503);
    await store.append("j", "w", [lineOf("a"), lineOf("b")]);

    await store.close(100);

    expect(said).toContain("2 log lines are lost: log group g did not take them in time");
  });

  it("corrects times by the service's clock where this machine's is off", async () => {
    const aheadMs = 20 * DAY_MS;
    server.now = () => Date.now() + aheadMs;
    const store = openStore();
    const line = lineOf("a");
    await store.append("j", "w", [line]);
    await store.flush(PATIENT_SECONDS);

    expect(server.streams.get("j/w")).toHaveLength(1);
    expect((await store.read("j", {})).lines).toEqual([line]);
  });

  it("says once that a clock is off where it cannot know by how much", async () => {
    server.now = () => Date.now() - DAY_MS;
    server.told = () => Date.now();
    const store = openStore();
    for (const text of ["a", "b"]) {
      await store.append("j", "w", [lineOf(text)]);
      await store.flush(PATIENT_SECONDS);
    }

    expect(said).toEqual([
      "CloudWatch Logs refuses lines for their times, and they are lost: check this machine's clock",
    ]);
  });
});
