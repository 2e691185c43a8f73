/** The janitor over a real S3 server: what is due goes, what is live stays. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { S3Store } from "../../../services/backends/object-store.s3.ts";
import { aVersion } from "../../support/builders.ts";
import { StepClock } from "../../batch-api/jobs/support.ts";
import { aJanitor, allKeys, API, DAY, forever, jobAt, KEYS, keysOf, putActive, putEnded, putVersion } from "../../batch-api/janitor/support.ts"; // prettier-ignore
import { encodeStored } from "../../../services/batch-api/jobs/stored.ts";
import { S3_CREDENTIALS, S3_REGION, startS3Server, type S3Server } from "../support/s3-server.ts";

let server: S3Server;

beforeAll(async () => {
  server = await startS3Server();
});
afterAll(() => server.stop());

it("results and records go by their days, and nothing else", async () => {
  await server.makeBucket("janitor");
  const access = { endpoint: server.endpoint, region: S3_REGION, credentials: S3_CREDENTIALS };
  const store = new S3Store({ bucket: "janitor", access });
  const began = await store.now();
  let days = 0;
  store.now = () => Promise.resolve(began + days * DAY);
  const [ended, active, lost] = [jobAt(began, 1), jobAt(began, 2), jobAt(began, 3)];
  await putVersion(store, aVersion());
  await store.swap(KEYS.current, encodeStored({ version: "v1", generation: 1 }), undefined);
  await putActive(store, active);
  const before = await allKeys(store);
  await putEnded(store, ended, { at: began });
  await store.put(`${KEYS.jobs}${lost}/input/items-00000000.ndjson`, Buffer.from("1\n"));
  const { janitor, said } = aJanitor(store, new StepClock());

  for (days of [30, 32, 33, 34]) await janitor.pass(API, forever);
  expect((await keysOf(store, ended)).filter((key) => /^(results|errors|parts|index)/.test(key))).toEqual([]);
  expect(await keysOf(store, lost)).toEqual([]);
  for (days of [90, 91, 92]) await janitor.pass(API, forever);

  expect(await allKeys(store)).toEqual(before);
  expect(said).toEqual([]);
});
