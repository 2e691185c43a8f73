import { afterAll, beforeAll } from "vitest";
import { S3Store } from "../../../services/backends/object-store.s3.ts";
import type { S3Access } from "../../../services/backends/s3/s3-requests.ts";
import { objectStoreContract } from "../../contracts/object-store.contract.ts";
import type { OpenedStores } from "../../contracts/opened-stores.ts";
import { startMinistack, type Ministack } from "../support/ministack.ts";
import { S3_CREDENTIALS, S3_REGION, startS3Server, type S3Server } from "../support/s3-server.ts";

let versitygw: S3Server;
let ministack: Ministack;
let buckets = 0;

beforeAll(async () => {
  [versitygw, ministack] = await Promise.all([startS3Server(), startMinistack()]);
});
afterAll(async () => {
  await Promise.all([versitygw.stop(), ministack.stop()]);
});

function twoOf(bucket: string, access: S3Access): OpenedStores {
  const one = new S3Store({ bucket, access });
  const other = new S3Store({ bucket, access });
  return { one, other, close: async () => undefined };
}

objectStoreContract("S3 at versitygw", async () => {
  const bucket = `store-${String(++buckets)}`;
  await versitygw.makeBucket(bucket);
  return twoOf(bucket, { endpoint: versitygw.endpoint, region: S3_REGION, credentials: S3_CREDENTIALS });
});

objectStoreContract(
  "S3 at ministack",
  async () => {
    const { endpoint, region, credentials } = ministack;
    const bucket = `store-${String(++buckets)}`;
    const made = await fetch(`${endpoint}/${bucket}`, { method: "PUT" });
    await made.body?.cancel();
    return twoOf(bucket, { endpoint, region, credentials });
  },
  { folders: false },
);
