/** A way from pods with a network of their own to servers that listen on this machine's loopback, as all servers of the tests do. */
import { execFile } from "node:child_process";
import { connect, createServer, type Server, type Socket } from "node:net";
import { promisify } from "node:util";
import type { Cluster } from "./cluster.ts";

const run = promisify(execFile);

/**
 * Owns a network link of this machine with an address of the cluster's own, at which a port leads to the same port of 127.0.0.1.
 * So pods need not be on the host's network: they have addresses and ports of their own, and the security level that forbids the
 * host's. The link carries the cluster's name, and goes with it when a test is killed.
 *
 *     const road = await PodRoad.open(cluster, [cluster.controlPlane.port]);
 *     road.urlOf("http://127.0.0.1:4566"); // http://10.83.0.1:4566
 */
export class PodRoad {
  /** Outside of every node's range of pod addresses. */
  readonly address: string;
  readonly #link: string;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();

  private constructor(link: string, address: string) {
    this.#link = link;
    this.address = address;
  }

  static async open(cluster: Cluster, ports: readonly number[]): Promise<PodRoad> {
    // nodes are 127.x.y.n, and their pods 10.x.n.0/24
    const [, second = ""] = cluster.nodes[0]?.name.split(".") ?? [];
    const road = new PodRoad(`mr${cluster.controlPlane.id}road`, `10.${second}.0.1`);
    await run("ip", ["link", "add", road.#link, "type", "bridge"]);
    await run("ip", ["address", "add", `${road.address}/32`, "dev", road.#link]);
    await run("ip", ["link", "set", road.#link, "up"]);
    await Promise.all(ports.map((port) => road.#listen(port)));
    return road;
  }

  /** The same server's, for pods. */
  urlOf(loopback: string): string {
    const url = new URL(loopback);
    return `${url.protocol}//${this.address}:${url.port}${url.pathname === "/" ? "" : url.pathname}`;
  }

  async close(): Promise<void> {
    const closed = this.#servers.map((server) => new Promise((resolve) => server.close(resolve)));
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closed);
    await run("ip", ["link", "delete", this.#link]);
  }

  #listen(port: number): Promise<void> {
    const server = createServer((socket) => {
      const onward = connect(port, "127.0.0.1");
      for (const [one, other] of [
        [socket, onward],
        [onward, socket],
      ] as const) {
        this.#sockets.add(one);
        one.setNoDelay(true);
        one.on("error", () => other.destroy()); // who was cut off is told so, no more
        one.once("close", () => {
          this.#sockets.delete(one);
          other.destroySoon();
        });
        one.pipe(other);
      }
    });
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, this.address, resolve);
    });
  }
}
