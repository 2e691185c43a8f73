import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { Client, Unreachable } from "../../cli/client.ts";

let server: Server;
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

/** A service that begins to answer, and cuts the connection. */
async function cutting(begin: (write: (text: string) => void) => void): Promise<Client> {
  server = createServer((_, answer) => {
    begin((text) => answer.write(text));
    setImmediate(() => answer.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return new Client(() => Promise.resolve(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}`));
}

describe("an answer that is cut off", () => {
  it("is no service that does not run: who reads is told where to look", async () => {
    const read = (await cutting((write) => { write('{"index":0}\n'); })).bytes("/results"); // prettier-ignore

    await expect(read).rejects.toThrow(/^the answer of http.* was cut off: .*`millrace verify JOB`/);
    await expect(read).rejects.not.toBeInstanceOf(Unreachable);
  });

  it("is a service that cannot be reached when nothing of it came", async () => {
    await expect((await cutting(() => undefined)).bytes("/results")).rejects.toBeInstanceOf(Unreachable);
  });
});
