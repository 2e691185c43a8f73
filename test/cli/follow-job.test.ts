import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { Client } from "../../cli/client.ts";
import { followJob } from "../../cli/follow-job.ts";
import { realClock } from "../../services/backends/clock.real.ts";
import { aJobOnWire } from "../support/a-job-on-wire.ts";

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

async function answering(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
}

const running = aJobOnWire();
const ended = aJobOnWire({ state: "succeeded" });
const event = (job: unknown) => `event: job\ndata: ${JSON.stringify(job)}\n\n`;

/** What was seen, in a word each. */
async function seen(address: () => string): Promise<readonly string[]> {
  const client = new Client(() => Promise.resolve(address()));
  const words: string[] = [];
  for await (const sighting of followJob(client, "/job", realClock, new AbortController().signal)) {
    words.push(sighting.kind === "job" ? sighting.job.state : sighting.kind);
  }
  return words;
}

describe("following a job", () => {
  it("reads events until the final one", async () => {
    const address = await answering((_, reply) => {
      reply.setHeader("content-type", "text/event-stream");
      reply.end(`: nothing new\n\n${event(running)}${event(ended)}event: end\ndata: {}\n\n`);
    });

    expect(await seen(() => address)).toEqual(["running", "succeeded"]);
  });

  it("goes on with a service that was started again at another address", async () => {
    const second = await answering((_, reply) => {
      reply.end(event(ended));
    });
    let address = "";
    const first = await answering((request, reply) => {
      reply.write(event(running), () => {
        address = second;
        request.socket.destroy();
      });
    });
    address = first;

    expect(await seen(() => address)).toEqual(["running", "lost", "back", "succeeded"]);
  });

  it("asks again and again where streams do not come through", async () => {
    let asked = 0;
    const address = await answering((request, reply) => {
      if (request.url === "/job/events") reply.end("not for you");
      else reply.end(JSON.stringify(++asked === 1 ? running : ended));
    });

    expect(await seen(() => address)).toEqual(["running", "succeeded"]);
  });

  it("asks again while the store behind the service does not work", async () => {
    let asked = 0;
    const address = await answering((_, reply) => {
      asked += 1;
      reply.statusCode = asked <= 2 ? 503 : 200;
      const problem = { code: "store_unwell", status: 503, detail: "the credentials have expired" };
      reply.end(asked <= 2 ? JSON.stringify(problem) : event(ended));
    });

    expect(await seen(() => address)).toEqual(["lost", "back", "succeeded"]);
  });

  it("throws what the service refuses", async () => {
    const address = await answering((_, reply) => {
      reply.statusCode = 404;
      reply.end(JSON.stringify({ code: "job_not_found", status: 404, detail: "no such job" }));
    });

    await expect(seen(() => address)).rejects.toMatchObject({ message: "no such job", exitCode: 5 });
  });
});
