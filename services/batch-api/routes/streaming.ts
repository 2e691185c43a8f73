/** Answers without an end in sight: pulled as the client reads, given up when it goes away. */
import { Readable } from "node:stream";
import type { FastifyReply } from "fastify";
import type { Clock } from "../../backends/clock.ts";

/** Bytes read ahead of a slow client. */
const READ_AHEAD_BYTES = 64 * 1024;

/**
 * Sends what `produce` yields. Its signal aborts when the client goes away; nothing is pulled before the client has read.
 * An error before the first chunk becomes a problem; a later one cuts the connection, so that nobody takes a part for all.
 * `early`: the head goes out at once, though the first chunk may be long in coming.
 */
export function sendStream(
  reply: FastifyReply,
  mediaType: string,
  produce: (signal: AbortSignal) => AsyncIterable<Buffer | string>,
  early = false,
): FastifyReply {
  const gone = new AbortController();
  reply.raw.once("close", () => {
    gone.abort(new Error("the client has gone away"));
  });
  const stream = Readable.from(produce(gone.signal), { objectMode: false, highWaterMark: READ_AHEAD_BYTES });
  void reply.type(mediaType).header("cache-control", "no-store").send(stream);
  if (early && reply.raw.hasHeader("content-type") && !reply.raw.headersSent) reply.raw.flushHeaders();
  return reply;
}

export async function* toLines(rows: AsyncIterable<unknown>): AsyncIterable<string> {
  for await (const row of rows) yield `${JSON.stringify(row)}\n`;
}

/** Server-sent events: `name` for each value, comments while nothing happens, `end` last. */
export async function* toEvents(
  name: string,
  values: AsyncIterable<unknown>,
  heartbeatSeconds: number,
  clock: Clock,
  signal: AbortSignal,
): AsyncIterable<string> {
  const iterator = values[Symbol.asyncIterator]();
  let next = readNext(iterator);
  try {
    for (;;) {
      const heard = new AbortController();
      const beat = clock.sleep(heartbeatSeconds * 1000, AbortSignal.any([signal, heard.signal])).then(
        () => "beat" as const,
        () => "over" as const, // aborted: by an event, or because the client is gone
      );
      const got = await Promise.race([next, beat]);
      heard.abort();
      if (got === "over") return;
      if (got === "beat") {
        yield ": nothing new\n\n";
        continue;
      }
      if (got.done === true) {
        yield "event: end\ndata: {}\n\n";
        return;
      }
      yield `event: ${name}\ndata: ${JSON.stringify(got.value)}\n\n`;
      next = readNext(iterator);
    }
  } finally {
    await iterator.return?.();
  }
}

function readNext(iterator: AsyncIterator<unknown>): Promise<IteratorResult<unknown>> {
  const next = iterator.next();
  next.catch(() => undefined); // awaited in the race; this only keeps an abandoned one from ending the process
  return next;
}
