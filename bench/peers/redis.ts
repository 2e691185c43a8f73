/** A Redis server of the system's packages (`redis-server`), on a free loopback port and in a folder of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createConnection, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { realClock } from "../../services/backends/clock.real.ts";

/** `none` keeps all in memory; `always` syncs the append-only file before each answer. */
export type RedisDurability = "none" | "always";

export interface RedisServer {
  readonly port: number;
  stop(): Promise<void>;
}

const START_SECONDS_MAX = 10;

export async function startRedis(durability: RedisDurability): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-bench-redis-"));
  const port = await freePort();
  const appendOnly =
    durability === "always" ? ["--appendonly", "yes", "--appendfsync", "always"] : ["--appendonly", "no"];
  const listen = ["--bind", "127.0.0.1", "--port", String(port)];
  const args = [...listen, "--dir", folder, "--save", "", ...appendOnly, "--maxmemory-policy", "noeviction"];
  const server = spawn("redis-server", args, { stdio: "ignore" });
  const ended = once(server, "exit");
  const failed = new Promise<never>((_resolve, reject) => {
    server.once("error", (cause) => {
      reject(new Error("redis-server could not be started; install it: apt-get install redis-server", { cause }));
    });
  });
  await Promise.race([untilAnswers(port), failed, ended.then(() => Promise.reject(new Error("redis-server ended")))]);
  return { port, stop: () => stop(server, ended, folder) };
}

async function stop(server: ChildProcess, ended: Promise<unknown>, folder: string): Promise<void> {
  server.kill("SIGTERM");
  await ended;
  await rm(folder, { recursive: true, force: true });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function untilAnswers(port: number): Promise<void> {
  const endsAt = realClock.monotonicMs() + START_SECONDS_MAX * 1000;
  while (realClock.monotonicMs() < endsAt) {
    const socket = createConnection(port, "127.0.0.1");
    try {
      await once(socket, "connect");
      return;
    } catch {
      await realClock.sleep(20); // it does not listen yet
    } finally {
      socket.destroy();
    }
  }
  throw new Error(`redis-server did not listen within ${String(START_SECONDS_MAX)} s`);
}
