import { once } from "node:events";
import { spawn } from "node:child_process";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { answers, listenAlone, serviceSocketPath } from "../../services/backends/service-socket.ts";

describe("listenAlone", () => {
  let root: string;
  const servers: Server[] = [];
  const listen = async (path: string) => {
    const server = createServer((socket) => socket.destroy());
    servers.push(server);
    await listenAlone(server, path);
  };

  beforeEach(async () => (root = await mkdtemp(join(tmpdir(), "millrace-socket-"))));
  afterEach(async () => {
    for (const server of servers.splice(0)) server.close();
    await rm(root, { recursive: true });
  });

  it("refuses when another service answers, and names the root and the fix", async () => {
    await listen(serviceSocketPath(root));

    await expect(listen(serviceSocketPath(root))).rejects.toThrow(
      `another service runs on this root: ${root}; stop it or choose another root with --root`,
    );
    expect(await answers(serviceSocketPath(root))).toBe(true);
  });

  it("replaces the socket that a killed service left behind", async () => {
    const path = serviceSocketPath(root);
    const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => console.log("up"))`;
    const service = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    await once(service.stdout, "data");
    service.kill("SIGKILL");
    await once(service, "exit");
    expect((await stat(path)).isSocket()).toBe(true);

    await listen(path);

    expect(await answers(path)).toBe(true);
  });

  it("listens in a folder whose path is too long for a socket's address", async () => {
    const path = serviceSocketPath(join(root, "d".repeat(100), "e".repeat(100)));

    await listen(path);

    expect((await stat(path)).isSocket()).toBe(true);
    expect(await answers(path)).toBe(true);
    await expect(listen(path)).rejects.toThrow(/another service runs on this root/);
  });

  it("does not take a missing socket for an answer", async () => {
    expect(await answers(serviceSocketPath(root))).toBe(false);
  });
});
