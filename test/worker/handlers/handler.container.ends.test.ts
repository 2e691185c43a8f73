import { createServer, type Server } from "node:net";
import { describe, expect, it, vi } from "vitest";
import { realClock } from "../../../services/backends/clock.real.ts";
import { ContainerGate } from "../../../services/worker/handlers/container-gate.ts";
import { HandlerStartFailed } from "../../../services/worker/handlers/handler.ts";
import { aContainerSpec, aProbe } from "../../support/a-container.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";
import { aContainer, aReady, aSession, ITEMS, META, NO_ROWS, started } from "./container-session.ts";

describe("a container that breaks", () => {
  it("in a batch fails that one, begins no other, and is waited for", async () => {
    const container = await aContainer(() => void container.die());
    const { handler, next } = await aReady(container.port);

    const runs = [handler.run(META, ITEMS), handler.run(META, ITEMS)];

    expect(await Promise.all(runs)).toEqual([
      {
        kind: "failed",
        cause: "exited",
        error:
          "The container broke the connection before it had answered (ECONNRESET): it may have crashed, or been killed " +
          "for want of memory; see the container's log",
        traceback: "",
      },
      { kind: "not_begun" },
    ]);
    await handler.ended;
    const again = next();
    const ready = again.start();
    container.onPost = (response) => response.end();
    await container.start();
    expect(await ready).toEqual({ hook: true });
    expect(await again.run(META, ITEMS)).toEqual(NO_ROWS);
  });

  it("in a batch on a connection that was used before is charged the next time", async () => {
    const container = await aContainer();
    const { handler, next } = await aReady(container.port);
    await handler.run(META, ITEMS);
    container.onPost = (response) => response.destroy();

    expect(await handler.run(META, ITEMS)).toEqual({ kind: "not_begun" });
    const again = next();
    await again.start();
    expect(await again.run(META, ITEMS)).toMatchObject({ kind: "failed", cause: "exited" });
  });

  it("in a batch after it had it for long is charged at once, on whatever connection", async () => {
    const container = await aContainer();
    const { handler } = await aReady(container.port);
    await handler.run(META, ITEMS);
    container.onPost = (response) => setTimeout(() => response.destroy(), 1100);

    expect(await handler.run(META, ITEMS)).toMatchObject({ kind: "failed", cause: "exited" });
  });

  it("half through its answer fails the batch", async () => {
    const container = await aContainer((response) => {
      response.writeHead(200, { "content-length": 100 });
      response.write("[1,", () => response.destroy());
    });
    const { handler } = await aReady(container.port);

    expect(await handler.run(META, ITEMS)).toMatchObject({ kind: "failed", cause: "exited" });
  });

  it("between batches costs nobody an attempt", async () => {
    const container = await aContainer();
    const { handler } = await aReady(container.port);
    await handler.run(META, ITEMS);
    await container.die();

    expect(await handler.run(META, ITEMS)).toEqual({ kind: "not_begun" });
    await handler.ended;
    expect(await handler.run(META, ITEMS)).toEqual({ kind: "not_begun" });
  });

  it("by speaking something else than HTTP fails the batch", async () => {
    const server: Server = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", () => socket.write("garbage\r\n\r\n"));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    started.push({ close: () => new Promise((resolve) => server.close(resolve)) });
    const { handler } = await aReady((server.address() as { port: number }).port);

    expect(await handler.run(META, ITEMS)).toMatchObject({ kind: "failed", cause: "bad_answer" });
    await handler.ended;
  });

  it("by hanging is given up, and gets no batch before it answers again, though it accepts connections", async () => {
    const container = await aContainer(() => {});
    container.onGet = () => {};
    const { handler, next } = await aReady(container.port, { startSeconds: 1 });

    const running = handler.run(META, ITEMS);
    await vi.waitFor(() => expect(container.posts).toHaveLength(1));
    handler.kill("timed_out");

    expect(await running).toEqual({
      kind: "failed",
      cause: "timed_out",
      error: "The batch ran longer than its batch timeout, and its request to the container was given up",
      traceback: "",
    });
    await handler.ended;
    const sick = next().start();
    await expect(sick).rejects.toThrow(
      "The containers were not ready within pod.start_timeout: GET / on port " +
        `${String(container.port)} of container "api" did not succeed`,
    );
    container.onGet = (response) => response.writeHead(404).end();
    expect(await next().start()).toEqual({ hook: true });
  });
});

describe("a start", () => {
  it("waits for what listens late", async () => {
    const container = await aContainer();
    const { port } = container;
    await container.die();
    const { handler } = aSession(port);

    const ready = handler.start();
    await realClock.sleep(50);
    await container.start();

    expect(await ready).toEqual({ hook: true });
  });

  it("asks a readiness probe until it has succeeded as often as it must", async () => {
    const container = await aContainer();
    let asked = 0;
    container.onGet = (response, { path }) =>
      response.writeHead(path === "/ready" && (asked += 1) !== 2 ? 200 : 503).end();
    const check = { kind: "http_get", path: "/ready", port: container.port } as const;
    const { handler } = aSession(container.port, { probe: aProbe(check, { success_threshold: 2 }) });

    await handler.start();

    expect(container.probes).toBe(4);
  });

  it("that takes too long fails, with the probe that did not succeed", async () => {
    const container = await aContainer();
    container.onGet = (response) => response.writeHead(500).end();
    const check = { kind: "http_get", path: "/ready", port: container.port } as const;
    const { handler } = aSession(container.port, { probe: aProbe(check), startSeconds: 1 });

    const error: unknown = await handler.start().catch((reason: unknown) => reason);

    expect(error).toBeInstanceOf(HandlerStartFailed);
    expect(error).toMatchObject({ killed: false, message: expect.stringContaining("GET /ready on port") as string });
    await handler.ended;
  });

  it("ends when it is told to", async () => {
    const container = await aContainer();
    container.onGet = () => {};
    const check = { kind: "http_get", path: "/", port: container.port } as const;
    const { handler } = aSession(container.port, { probe: aProbe(check, { timeout_seconds: 60 }) });

    const starting = handler.start();
    await vi.waitFor(() => expect(container.probes).toBe(1));
    await handler.close();

    await expect(starting).rejects.toThrow("told to stop while it started");
  });
});

describe("a gate", () => {
  it("is asked again after a probe's period, but not while a request is in flight", async () => {
    const container = await aContainer();
    const check = { kind: "http_get", path: "/", port: container.port } as const;
    const clock = new VirtualClock();
    const gate = new ContainerGate({ handler: aContainerSpec(container.port, aProbe(check)), clock });
    const { signal } = new AbortController();
    await gate.opened(signal);
    container.onGet = (response) => response.writeHead(503).end();

    expect(await gate.isStillOpen(signal)).toBe(true);
    await clock.advance(10_000);
    gate.requestBegan();
    expect(await gate.isStillOpen(signal)).toBe(true);
    gate.requestEnded(false);

    expect(await gate.isStillOpen(signal)).toBe(false);
  });
});
