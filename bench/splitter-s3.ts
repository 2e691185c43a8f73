/** G3c: JSON lines in S3 to stored pointers, over a bare loop of the SDK that reads the same ranges and looks at none of them. */
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { S3Dataset } from "../services/backends/dataset.s3.ts";
import { startBenchS3 } from "./peers/s3-server.ts";
import { compare } from "./rounds.ts";
import type { BenchRow } from "./row.ts";
import { seconds, splitOf } from "./splitter.ts";

const ROUNDS = 5;
const MEGABYTES = 200;
const KEY = "2026/part-0.jsonl";
/** As ours reads. */
const RANGE_BYTES = 8 * 1024 * 1024;
const IN_FLIGHT = 8;

export async function g3c(): Promise<BenchRow[]> {
  const server = await startBenchS3();
  const { access, bucket } = server;
  const client = new S3Client({ ...access, forcePathStyle: true });
  try {
    const Body = lines(MEGABYTES * 1_000_000);
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: KEY, Body }));
    const dataset = new S3Dataset(access);
    const ours = () => splitOf(dataset, `s3://${bucket}/${KEY}`, true);
    const theirs = () => readAll(client, bucket, Body.length);
    await ours(); // compiled, connected
    await theirs();
    return [
      await compare({
        id: "G3c",
        what: "JSON lines of 300 bytes in S3 to stored pointers, over a bare loop of the SDK that reads the same ranges",
        bar: ">= 0.7",
        unit: "MB/s",
        rounds: ROUNDS,
        ours: async () => MEGABYTES / (await seconds(ours)),
        theirs: async () => MEGABYTES / (await seconds(theirs)),
      }),
    ];
  } finally {
    client.destroy();
    await server.stop();
  }
}

function lines(bytes: number): Buffer {
  const line = Buffer.from(`${JSON.stringify({ text: "x".repeat(287) })}\n`);
  const all = Buffer.alloc(bytes - (bytes % line.length));
  for (let at = 0; at < all.length; at += line.length) line.copy(all, at);
  return all;
}

async function readAll(client: S3Client, bucket: string, sizeBytes: number): Promise<void> {
  let next = 0;
  const loop = async () => {
    for (let start = next; start < sizeBytes; start = next) {
      next = Math.min(sizeBytes, start + RANGE_BYTES);
      const Range = `bytes=${String(start)}-${String(next - 1)}`;
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: KEY, Range }));
      await Body?.transformToByteArray();
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, loop));
}
