/** One connection of this machine joined to one port of a pod, through the cluster's API server. */
import { Writable } from "node:stream";
import type { Socket } from "node:net";
import { PortForward, type KubeConfig } from "@kubernetes/client-node";
import type { Clock } from "../../services/backends/clock.ts";

export interface PodForwarder {
  /**
   * Joins them and resolves, once the cluster has agreed. Nothing was read from the socket when it throws: `ForwardRefused`, or
   * what the network or signing in threw. `onBroken` is told why a pod's end broke later, and the socket is destroyed.
   */
  open(pod: string, socket: Socket, onBroken: (words: string) => void): Promise<void>;
}

/** The API server did not agree, or not in time. */
export class ForwardRefused extends Error {
  override readonly name = "ForwardRefused";
  /** Of HTTP; 504 for no answer in time. */
  readonly status: number;

  constructor(status: number) {
    super(`the cluster answers ${String(status)}`);
    this.status = status;
  }
}

/** What is used of the client's WebSocket, of package ws. */
interface Tunnel {
  readonly bufferedAmount: number;
  pause(): void;
  resume(): void;
  ping(payload?: unknown, mask?: boolean, sent?: () => void): void;
  close(): void;
  terminate(): void;
  on(event: "message" | "pong", listener: () => void): void;
  on(event: "close", listener: (code: number) => void): void;
}

const OPEN_MS_MAX = 10_000;
const GATEWAY_TIMEOUT = 504;
/** Two silent ones in a row end a tunnel; load balancers drop connections that are silent for some minutes. */
const PING_MS = 20_000;
/** Bytes on their way to the pod above which the socket waits. */
const AHEAD_BYTES_MAX = 1024 * 1024;
/** The pod's end closed in order (RFC 6455, 7.4.1). */
const CLOSED_NORMALLY = 1000;

export interface ForwarderOptions {
  readonly kubeConfig: KubeConfig;
  readonly namespace: string;
  readonly port: number;
  readonly clock: Clock;
}

/** Through `pods/portforward`, as kubectl does. */
export function podForwarder({ kubeConfig, namespace, port, clock }: ForwarderOptions): PodForwarder {
  const portForward = new PortForward(kubeConfig);
  return {
    open: async (pod, socket, onBroken) => {
      const said: Buffer[] = [];
      const errors = new Writable({
        write: (piece: Buffer, _encoding, done) => {
          said.push(piece);
          done();
        },
      });
      const opening = portForward.portForward(namespace, pod, [port], socket, errors, socket) as Promise<unknown>;
      const tunnel = (await inTime(opening, clock)) as Tunnel;
      // the library hands bytes on as they come, and waits for nobody
      tunnel.on("message", () => {
        if (!socket.writableNeedDrain) return;
        tunnel.pause();
        socket.once("drain", () => {
          tunnel.resume();
        });
      });
      socket.on("data", () => {
        if (tunnel.bufferedAmount < AHEAD_BYTES_MAX) return;
        socket.pause();
        tunnel.ping(undefined, undefined, () => socket.resume());
      });
      socket.once("close", () => {
        tunnel.close();
      });
      if (socket.destroyed) tunnel.close(); // meanwhile
      tunnel.on("close", (code) => {
        const words = Buffer.concat(said).toString().trim();
        if (words !== "") onBroken(words);
        if (words === "" && code === CLOSED_NORMALLY) socket.end();
        else socket.destroy();
      });
      void keepAlive(tunnel, socket, clock);
    },
  };
}

/** Ends a tunnel whose other end does not answer any more, as after a laptop has slept. */
async function keepAlive(tunnel: Tunnel, socket: Socket, clock: Clock): Promise<void> {
  const closed = new AbortController();
  tunnel.on("close", () => {
    closed.abort();
  });
  const isClosed = () => closed.signal.aborted;
  let unanswered = 0;
  tunnel.on("pong", () => {
    unanswered = 0;
  });
  for (;;) {
    await clock.sleep(PING_MS, closed.signal).catch(() => undefined); // closed
    if (isClosed()) return;
    // one that is paused hears no answer
    if (unanswered >= 2 && !socket.writableNeedDrain) tunnel.terminate();
    else tunnel.ping();
    unanswered += 1;
  }
}

/** The tunnel; one that opens too late is closed. */
async function inTime(opening: Promise<unknown>, clock: Clock): Promise<unknown> {
  const over = new AbortController();
  const late = clock.sleep(OPEN_MS_MAX, over.signal).then(() => {
    void opening.then(
      (tunnel) => {
        (tunnel as Tunnel).terminate();
      },
      () => undefined, // too late as well
    );
    throw new ForwardRefused(GATEWAY_TIMEOUT);
  });
  try {
    return await Promise.race([opening, late]);
  } catch (error) {
    throw errorOf(error);
  } finally {
    over.abort();
  }
}

/** The library rejects with an event of its WebSocket, whose error says the status only in words. */
function errorOf(thrown: unknown): unknown {
  const error: unknown = thrown instanceof Error ? thrown : (thrown as { error?: unknown } | undefined)?.error;
  const status = error instanceof Error ? /^Unexpected server response: (\d{3})$/.exec(error.message)?.[1] : undefined;
  return status === undefined ? (error ?? thrown) : new ForwardRefused(Number(status));
}
