import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AppendConflict } from "../../services/backends/object-store.ts";
import { answer, anS3Store, next } from "../support/an-s3-store.ts";
import { startFakeS3, type FakeS3 } from "../support/fake-s3.ts";

let fake: FakeS3;

beforeEach(async () => {
  fake = await startFakeS3();
});
afterEach(() => fake.close());

const textOf = (key: string) => fake.objects.get(key)?.toString();
const requests = () => fake.seen.map(({ method }) => method);
const puts = () => fake.seen.filter(({ method }) => method === "PUT");

describe("a put over S3", () => {
  it("whose answer is lost finds its own write, and does not write again", async () => {
    fake.script.push(next("PUT", "loses the answer"));

    expect(await anS3Store(fake).store.put("k", Buffer.from("mine"))).toBe(true);

    expect(textOf("k")).toBe("mine");
    expect(requests()).toEqual(["PUT", "HEAD"]);
  });

  it("that is lost is sent again, byte for byte and under the same id", async () => {
    fake.script.push(next("PUT", "loses the request"), next("PUT", answer(500, "InternalError")));

    expect(await anS3Store(fake).store.put("k", Buffer.from("mine"))).toBe(true);

    expect(requests()).toEqual(["PUT", "HEAD", "PUT", "HEAD", "PUT"]);
    expect(new Set(puts().map(({ body }) => body.toString()))).toEqual(new Set(["mine"]));
    expect(new Set(puts().map(({ headers }) => headers["x-amz-meta-millrace-write"])).size).toBe(1);
    expect(puts().map(({ headers }) => headers["if-none-match"])).toEqual(["*", "*", "*"]);
  });

  it("answers true when its first try landed after all, and its second was refused", async () => {
    fake.script.push(next("PUT", "delays the request"));
    const { store, clock } = anS3Store(fake);
    let looks = 0;
    // It lands between the look, which finds nothing, and the second try.
    fake.script.push(next("HEAD", answer(404, "NoSuchKey")));
    clock.duringSleep = () => {
      if (++looks === 1) fake.land();
    };

    expect(await store.put("k", Buffer.from("mine"))).toBe(true);
    expect(requests()).toEqual(["PUT", "HEAD", "PUT", "HEAD"]);
  });

  it("answers false when somebody else's object is there, whatever became of its own request", async () => {
    fake.objects.set("k", Buffer.from("theirs"));
    fake.script.push(next("PUT", "loses the request"));

    expect(await anS3Store(fake).store.put("k", Buffer.from("mine"))).toBe(false);
    expect(await anS3Store(fake).store.put("k", Buffer.from("theirs"))).toBe(false);
    expect(textOf("k")).toBe("theirs");
  });

  it("looks after a conflict of conditional writes, and sends again", async () => {
    fake.script.push(next("PUT", answer(409, "ConditionalRequestConflict")));

    expect(await anS3Store(fake).store.put("k", Buffer.from("mine"))).toBe(true);
    expect(requests()).toEqual(["PUT", "HEAD", "PUT"]);
  });

  it("is sent again without a look when S3 asks for fewer requests, after a pause", async () => {
    fake.script.push(next("PUT", answer(503, "SlowDown")), next("PUT", answer(503, "SlowDown")));
    const { store, clock } = anS3Store(fake);

    expect(await store.put("k", Buffer.from("mine"))).toBe(true);
    expect(requests()).toEqual(["PUT", "PUT", "PUT"]);
    expect(clock.sleeps).toBe(2);
  });
});

describe("a swap over S3", () => {
  it("whose answer is lost has its version from the look", async () => {
    const { store } = anS3Store(fake);
    const first = await store.swap("r", Buffer.from("1"), undefined);
    fake.script.push(next("PUT", "loses the answer"));

    const second = await store.swap("r", Buffer.from("2"), first);

    expect(second).toBeDefined();
    expect(await store.read("r")).toEqual({ bytes: Buffer.from("2"), version: second });
  });

  it("that was done and overwritten before the look is not said to have succeeded", async () => {
    const { store, clock } = anS3Store(fake);
    const first = await store.swap("r", Buffer.from("1"), undefined);
    fake.script.push(next("PUT", "loses the answer"));
    clock.duringSleep = () => {
      fake.objects.set("r", Buffer.from("3"));
      fake.metadata.set("r", {});
    };

    expect(await store.swap("r", Buffer.from("2"), first)).toBeUndefined();
    expect(textOf("r")).toBe("3");
  });

  it("that lands after a newer one is refused by its condition", async () => {
    const { store } = anS3Store(fake);
    const first = await store.swap("r", Buffer.from("1"), undefined);
    fake.script.push(next("PUT", "delays the request"));
    const second = await store.swap("r", Buffer.from("2"), first);
    await store.swap("r", Buffer.from("3"), second);

    expect(fake.land()).toEqual([412]);
    expect(textOf("r")).toBe("3");
  });
});

describe("an append over S3", () => {
  it("writes the whole log anew, on the condition that it is what was acknowledged last", async () => {
    const { store } = anS3Store(fake);

    await store.append("log", Buffer.from("a"), 0);
    await store.append("log", Buffer.from("b"), 1);

    expect(puts().map(({ body }) => body.toString())).toEqual(["a", "ab"]);
    expect(puts()[0]?.headers["if-none-match"]).toBe("*");
    expect(puts()[1]?.headers["if-match"]).toMatch(/^"[0-9a-f]{32}"$/);
    expect(requests()).toEqual(["PUT", "PUT"]);
  });

  it("that lands after a newer one is refused, and what was acknowledged stays", async () => {
    const { store } = anS3Store(fake);
    await store.append("log", Buffer.from("a"), 0);
    fake.script.push(next("PUT", "delays the request"));
    await store.append("log", Buffer.from("b"), 1);
    await store.append("log", Buffer.from("c"), 2);

    expect(fake.land()).toEqual([412]);
    expect(textOf("log")).toBe("abc");
  });

  it("that was given up never lands once a later append has resolved", async () => {
    const budget = { attemptsMax: 1, seconds: 60, credentialsSeconds: 60, firstCredentialsSeconds: 60 };
    const { store } = anS3Store(fake, { budget });
    await store.append("log", Buffer.from("a"), 0);
    fake.script.push(next("PUT", "delays the request"));
    await expect(store.append("log", Buffer.from("lost"), 1)).rejects.toThrow("check the endpoint and the network");

    await store.append("log", Buffer.from("b"), 1);

    expect(fake.land()).toEqual([412]);
    expect(textOf("log")).toBe("ab");
  });

  it("whose answer is lost goes on from what it wrote", async () => {
    const { store } = anS3Store(fake);
    await store.append("log", Buffer.from("a"), 0);
    fake.script.push(next("PUT", "loses the answer"), next("PUT", "loses the answer"));
    await store.append("log", Buffer.from("b"), 1);
    await store.append("log", Buffer.from("c"), 2);

    expect(textOf("log")).toBe("abc");
  });

  it("stops when the log is not as it left it, or is gone", async () => {
    const { store } = anS3Store(fake);
    await store.append("log", Buffer.from("a"), 0);
    await store.append("gone", Buffer.from("a"), 0);
    fake.objects.set("log", Buffer.from("z"));
    fake.objects.delete("gone");

    await expect(store.append("log", Buffer.from("b"), 1)).rejects.toThrow(AppendConflict);
    await expect(store.append("gone", Buffer.from("b"), 1)).rejects.toThrow(AppendConflict);
    expect(textOf("log")).toBe("z");
  });

  it("tells writers after how many they begin the next log", () => {
    expect(anS3Store(fake).store.appendsMax).toBe(32);
  });
});

describe("what a stack wrote, without conditions or metadata", () => {
  it("is read as whatever is asked for, anew each time, and may be swapped from what was read", async () => {
    const { store } = anS3Store(fake);
    fake.objects.set("current.json", Buffer.from("1"));
    const first = await store.read("current.json");
    fake.objects.set("current.json", Buffer.from("2"));
    const second = await store.read("current.json");

    expect([first?.bytes.toString(), second?.bytes.toString()]).toEqual(["1", "2"]);
    expect((await store.get("current.json"))?.bytes.toString()).toBe("2");
    expect(await store.swap("current.json", Buffer.from("3"), first?.version)).toBeUndefined();
    expect(await store.swap("current.json", Buffer.from("3"), second?.version)).toBeDefined();
    expect(textOf("current.json")).toBe("3");
  });
});
