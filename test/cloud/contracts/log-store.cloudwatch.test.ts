import { CloudWatchLogsClient, CreateLogGroupCommand } from "@aws-sdk/client-cloudwatch-logs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { realClock, realRandom } from "../../../services/backends/clock.real.ts";
import { CloudWatchLogStore } from "../../../services/backends/log-store.cloudwatch.ts";
import type { LogLine } from "../../../services/backends/log-store.ts";
import { logStoreContract } from "../../contracts/log-store.contract.ts";
import { type Ministack, startMinistack } from "../support/ministack.ts";

let server: Ministack;
let groups = 0;
beforeAll(async () => {
  server = await startMinistack();
});
afterAll(async () => await server.stop());

/** Lines of the contract carry times of 1970: the service's past is then near. */
const earlyClock = { ...realClock, wallMs: () => 1_000 };

async function openStore(clock = realClock) {
  const group = `/millrace/contract-${String(++groups)}`;
  const { endpoint, region, credentials } = server;
  const client = new CloudWatchLogsClient({ endpoint, region, credentials });
  await client.send(new CreateLogGroupCommand({ logGroupName: group }));
  client.destroy();
  const open = () =>
    new CloudWatchLogStore({
      group,
      endpoint,
      region,
      credentials,
      clock,
      random: realRandom,
      readsPerSecond: 1_000,
    });
  const store = open();
  return { store, another: open, close: async () => await store.close() };
}

logStoreContract("CloudWatch Logs", () => openStore(earlyClock));

describe("CloudWatch Logs as many processes see it", () => {
  let at = 0;
  beforeEach(() => {
    at = Date.now();
  });
  const line = (worker: string, number: number, text: string): LogLine => {
    return { at: at + number, worker, from: "handler", batch: number, text };
  };

  it("restores each line exactly as it was said", async () => {
    const { store, close } = await openStore();
    const texts = [
      "",
      " leading and trailing ",
      "[handler #1.1] like a tag",
      "\t\u0000\u001b[31mred",
      "𝄞 ü \uffff",
      "x".repeat(250_000),
    ];
    const lines = texts.map((text, number) => line("1-1-0-0a1b2c3d", number, text));
    const service: LogLine = { at: at + 90, worker: "service", from: "service", text: "the job succeeded" };
    await store.append("j", "1-1-0-0a1b2c3d", lines);
    await store.append("j", "service", [service]);

    expect((await store.read("j", {})).lines).toEqual([...lines, service]);
    await close();
  });

  it("reads all of a job beside another one where one call does not answer all", async () => {
    const { store, another, close } = await openStore();
    const reader = another();
    for (const job of ["j", "k"]) {
      for (const worker of ["a", "b"]) {
        await store.append(
          job,
          worker,
          Array.from({ length: 1_500 }, (_, number) => line(worker, number, String(number))),
        );
      }
    }
    expect(await store.flush()).toBe(0);

    const read: string[] = [];
    let cursor: string | undefined;
    for (;;) {
      const page = await reader.read("j", { linesMax: 1_000, ...(cursor === undefined ? {} : { cursor }) });
      if (page.lines.length === 0) break;
      read.push(...page.lines.map(({ worker, text }) => `${text}${worker}`));
      cursor = page.cursor;
    }

    expect(read).toEqual(Array.from({ length: 3_000 }, (_, n) => `${String(n >> 1)}${n % 2 === 0 ? "a" : "b"}`));
    await close();
    await reader.close();
  });

  it("reads lines that came late behind those of another worker", async () => {
    const { store, another, close } = await openStore();
    const late = another();
    await store.append("j", "a", [line("a", 5, "first")]);
    const { cursor } = await store.read("j", {});
    await late.append("j", "b", [line("b", 2, "late")]);
    await late.close();

    expect((await store.read("j", { cursor })).lines.map(({ text }) => text)).toEqual(["late"]);
    await close();
  });

  it("writes a line of the job again after its lines were removed", async () => {
    const { store, another, close } = await openStore();
    await store.append("j", "a", [line("a", 1, "before")]);
    await store.flush();
    const janitor = another();
    await janitor.remove("j");
    await store.append("j", "a", [line("a", 2, "after")]);

    expect((await store.read("j", {})).lines.map(({ text }) => text)).toEqual(["after"]);
    await janitor.close();
    await close();
  });
});
