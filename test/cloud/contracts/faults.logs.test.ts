import { CloudWatchLogsClient, CreateLogGroupCommand } from "@aws-sdk/client-cloudwatch-logs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { realClock, realRandom } from "../../../services/backends/clock.real.ts";
import { CloudWatchLogStore } from "../../../services/backends/log-store.cloudwatch.ts";
import { FaultProxy } from "../support/fault-proxy.ts";
import type { Fault } from "../support/faults.ts";
import { type Ministack, startMinistack } from "../support/ministack.ts";

const FAULTS: Readonly<Record<string, Fault>> = {
  "throttled calls": { kind: "refuse", status: 400, code: "ThrottlingException" },
  "a service that is unavailable": { kind: "refuse", status: 503, code: "ServiceUnavailableException" },
  "an error of the service": { kind: "refuse", status: 500, code: "InternalFailure" },
  "lost replies": { kind: "loseReply" },
  "lost requests": { kind: "loseRequest" },
  "replies cut within their body": { kind: "cutReply" },
  "calls that land late": { kind: "landLate" },
};
const LINES = 40;
const GROUP = "/millrace/faults";

let server: Ministack;
let proxy: FaultProxy;
let store: CloudWatchLogStore;
let direct: CloudWatchLogStore;
let jobs = 0;
beforeAll(async () => {
  server = await startMinistack();
  const { endpoint, region, credentials } = server;
  const client = new CloudWatchLogsClient({ endpoint, region, credentials });
  await client.send(new CreateLogGroupCommand({ logGroupName: GROUP }));
  client.destroy();
});
afterAll(async () => await server.stop());
beforeEach(async () => {
  proxy = await FaultProxy.start({ target: server.endpoint });
  store = openStore(proxy.endpoint);
  direct = openStore(server.endpoint);
});
afterEach(async () => {
  await store.close(0);
  await direct.close(0);
  await proxy.stop();
});

function openStore(endpoint: string): CloudWatchLogStore {
  const { region, credentials } = server;
  const clock = realClock;
  return new CloudWatchLogStore({
    group: GROUP,
    endpoint,
    region,
    credentials,
    clock,
    random: realRandom,
    readsPerSecond: 1_000,
  });
}

/** Says the numbers from 0, a call for each four. */
async function sayNumbers(job: string): Promise<void> {
  for (let number = 0; number < LINES; number++) {
    await store.append(job, "w", [{ at: Date.now(), worker: "w", from: "handler", text: String(number) }]);
    if (number % 4 === 3 && number < LINES - 1) expect(await store.flush(60)).toBe(0);
  }
}

async function numbersRead(job: string): Promise<number[]> {
  return (await direct.read(job, {})).lines.map(({ text }) => Number(text));
}

const all = Array.from({ length: LINES }, (_, number) => number);

describe.each(Object.entries(FAULTS))("CloudWatch Logs with %s", (_name, fault) => {
  it("has every line once and in order after a flush", async () => {
    const job = `job-${String(++jobs)}`;
    proxy.rules.add({ name: "put", operation: "PutLogEvents", nth: [1, 4, 5, 9], fault });
    proxy.rules.add({ name: "create", operation: "CreateLogStream", nth: [1], fault });
    await sayNumbers(job);

    expect(await store.flush(60)).toBe(0);
    await proxy.landLate();
    expect(await numbersRead(job)).toEqual(all);
    expect(proxy.rules.fired("put")).toBe(4);
    expect(proxy.rules.fired("create")).toBe(1);
  });

  it("reads every line once", async () => {
    const job = `job-${String(++jobs)}`;
    proxy.rules.add({ name: "filter", operation: "FilterLogEvents", nth: [1, 3], fault });
    await sayNumbers(job);
    await store.flush(60);
    const read: number[] = [];
    let page = await store.read(job, { linesMax: 15 });
    while (page.lines.length > 0) {
      read.push(...page.lines.map(({ text }) => Number(text)));
      page = await store.read(job, { linesMax: 15, cursor: page.cursor });
    }

    expect(read).toEqual(all);
    expect(proxy.rules.fired("filter")).toBe(2);
  });
});

it("keeps lines while CloudWatch Logs is cut off, and writes them when it is back", async () => {
  const job = `job-${String(++jobs)}`;
  proxy.cut();
  const said = sayNumbers(job);
  while (proxy.rules.fired("cut") < 2) await realClock.sleep(20);
  proxy.heal();
  await said;

  expect(await store.flush(60)).toBe(0);
  expect(await numbersRead(job)).toEqual(all);
});
