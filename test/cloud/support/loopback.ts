/** Addresses and ports that nobody else uses. */
import { randomInt } from "node:crypto";
import { createServer, type Server } from "node:net";

/** Ports of 127.0.0.1 that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listening()));
  const ports = servers.map(portOf);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/**
 * The second and third number of a network `127.x.y.0/24`, drawn by chance: the whole of 127/8 is this machine's, so that
 * each node has an address of its own, and two clusters side by side do not meet.
 */
export function drawNetwork(): readonly [number, number] {
  return [randomInt(1, 255), randomInt(1, 255)];
}

function listening(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      resolve(server);
    });
  });
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server has an address and a port");
  return address.port;
}
