/** A port on this machine's loopback. */
import { createServer, type AddressInfo, type Socket } from "node:net";
import { Problem } from "../../services/protocol/problems.ts";
import { CliError } from "../cli-error.ts";

export interface LocalDoor {
  /** `http://127.0.0.1:<port>` */
  readonly address: string;
  /** Ends its connections as well. */
  close(): Promise<void>;
}

const HOST = "127.0.0.1";
/** How long a client may take to read why it is refused. */
const READING_MS_MAX = 5_000;

/** Listens; `serve` is given each connection. `port` 0: any that is free. Throws `CliError`. */
export async function openLocalDoor(port: number, serve: (socket: Socket) => void): Promise<LocalDoor> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    socket.on("error", () => socket.destroy()); // the client's end went away: nobody is left to tell
    serve(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => {
      reject(listenFault(port, error));
    });
    server.listen(port, HOST, resolve);
  });
  const { port: given } = server.address() as AddressInfo;
  return {
    address: `http://${HOST}:${String(given)}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        for (const socket of open) socket.destroy();
      }),
  };
}

/** Says in HTTP why nobody serves it, for a program that waits for an answer; what it sends is not looked at. */
export function refuse(socket: Socket, words: string): void {
  const body = JSON.stringify(new Problem("backend_unwell", words));
  const head = [
    "HTTP/1.1 503 Service Unavailable",
    "content-type: application/problem+json",
    `content-length: ${String(Buffer.byteLength(body))}`,
    "retry-after: 2",
    "connection: close",
  ];
  socket.resume(); // bytes that nobody read would cut the answer off
  socket.setTimeout(READING_MS_MAX, () => socket.destroy());
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}

function listenFault(port: number, error: Error): CliError {
  const code = "code" in error ? String(error.code) : error.message;
  const at = `port ${String(port)} of ${HOST}`;
  if (code === "EADDRINUSE")
    return new CliError(`--port: ${at} is in use by another program; give another one, or 0 for any that is free`);
  if (code === "EACCES") return new CliError(`--port: ${at} is not yours to use; give one from 1024 on`);
  return new CliError(`--port: ${at} cannot be listened on (${code}); give another one`, undefined, error);
}
