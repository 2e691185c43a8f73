/** How the doors close: who was let in gets an answer, within bounds. */
import type { Clock } from "../backends/clock.ts";
import type { App } from "./routes/door.ts";

const LOOK_MS = 100;

/**
 * From its `close` on an app takes no new connection, and what is under way has so many seconds to end; what is left then, a
 * followed stream above all, is cut. Connections that fall idle meanwhile are closed at once.
 */
export function drainWhenClosing(app: App, clock: Clock, seconds: number): void {
  app.addHook("preClose", (done) => {
    void drain(app, clock, seconds).catch(() => undefined); // closed before its time
    done();
  });
}

/** Rejects when the server has closed. */
async function drain({ server }: App, clock: Clock, seconds: number): Promise<void> {
  const closed = new AbortController();
  server.once("close", () => {
    closed.abort();
  });
  for (let leftMs = seconds * 1000; leftMs > 0; leftMs -= LOOK_MS) {
    await clock.sleep(Math.min(LOOK_MS, leftMs), closed.signal);
    server.closeIdleConnections();
  }
  server.closeAllConnections();
}
