import { DeleteObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll } from "vitest";
import { S3Dataset } from "../../../services/backends/dataset.s3.ts";
import { describeDataset } from "../../contracts/dataset.contract.ts";
import { S3_CREDENTIALS, S3_REGION, startS3Server, type S3Server } from "../support/s3-server.ts";

let server: S3Server;
let buckets = 0;

beforeAll(async () => {
  server = await startS3Server();
});
afterAll(() => server.stop());

describeDataset("S3 at versitygw", async () => {
  const Bucket = `data-${String(++buckets)}`;
  await server.makeBucket(Bucket);
  const access = { endpoint: server.endpoint, region: S3_REGION, credentials: S3_CREDENTIALS };
  const client = new S3Client({ ...access, forcePathStyle: true });
  return {
    dataset: new S3Dataset(access),
    // versitygw does not heed `encoding-type=url`, and writes U+FFFD for what XML cannot hold
    lost: /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffc}\u{10000}-\u{10ffff}]/u,
    uri: (path) => `s3://${Bucket}/in/${path}`,
    async write(path, content) {
      await client.send(new PutObjectCommand({ Bucket, Key: `in/${path}`, Body: content }));
    },
    async remove(path) {
      await client.send(new DeleteObjectCommand({ Bucket, Key: `in/${path}` }));
    },
    close: async () => client.destroy(),
  };
});
