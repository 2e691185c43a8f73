/** A worker process of BullMQ with a no-op processor. Arguments: port of Redis, name of the queue. */
import { Worker } from "bullmq";
import { Redis } from "ioredis";

const [, , port, queue] = process.argv;
/** Jobs in work at once; more or fewer were slower. */
const CONCURRENCY = 100;
const TELL_MS = 5;

const worker = new Worker(queue ?? "", () => Promise.resolve(), {
  connection: new Redis(Number(port), "127.0.0.1", { maxRetriesPerRequest: null }),
  concurrency: CONCURRENCY,
});
let completed = 0;
worker.on("completed", () => {
  completed += 1;
});
await worker.waitUntilReady();
process.send?.(0);
setInterval(() => {
  if (completed > 0) process.send?.(completed);
  completed = 0;
}, TELL_MS);
