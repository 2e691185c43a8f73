/** The service in this process: for `serve`, `run` and the demo. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import pino from "pino";
import { ServiceRunning } from "../services/backends/service-socket.ts";
import { CLI_EXIT } from "../services/protocol/exit-codes.ts";
import { startLaptop, type LaptopOptions, type LaptopService } from "../services/batch-api/laptop.ts";
import { CliError } from "./cli-error.ts";
import type { Cli } from "./cli.ts";
import { removeServiceFile, writeServiceFile } from "./service-file.ts";

export interface ServingOptions {
  /** Absolute. */
  readonly root: string;
  readonly host: string;
  readonly port: number;
  /** Absolute folders. */
  readonly allow: readonly string[];
  readonly lanes: number;
  /** Default: everything for ever. */
  readonly retention?: NonNullable<LaptopOptions["retention"]>;
  readonly onFatal: (error: unknown) => void;
}

export interface Serving {
  readonly service: LaptopService;
  /** Drains workers and closes everything. */
  stop(): Promise<void>;
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/;

export function serviceLogPath(root: string): string {
  return join(root, "service.log");
}

/** Starts it and says in `<root>/service.json` where it answers. Throws `CliError`. */
export async function startServing(cli: Cli, options: ServingOptions): Promise<Serving> {
  const { root, host } = options;
  if (!LOOPBACK.test(host)) {
    const fix = "give 127.0.0.1, localhost or ::1; from elsewhere, come through `ssh -L`";
    throw new CliError(`--host: found ${host}; the doors have no keys yet, so they open to this machine only: ${fix}`);
  }
  await makeRoot(root);
  const logger = pino(
    { level: "info", timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: serviceLogPath(root), sync: true }),
  );
  const service = await startLaptop({
    ...options,
    environment: cli.environment,
    logger,
    version: cli.version,
    onFatal: (error) => {
      logger.fatal({ err: error }, "the service cannot go on");
      options.onFatal(error);
    },
  }).catch((error: unknown) => {
    throw startFailure(error, options);
  });
  await writeServiceFile(root, { address: service.address, pid: cli.pid, allow: options.allow });
  logger.info({ address: service.address, root, allow: options.allow }, "the service is up");
  return {
    service,
    stop: async () => {
      await removeServiceFile(root);
      await service.stop();
      logger.info("the service has ended");
    },
  };
}

async function makeRoot(root: string): Promise<void> {
  await mkdir(root, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    const why = `cannot be made or is no folder (${codeOf(error)})`;
    throw new CliError(`--root: ${root} ${why}; name a folder that you may write to`, undefined, error);
  });
}

function startFailure(error: unknown, { root, host, port }: ServingOptions): unknown {
  if (error instanceof ServiceRunning) return new CliError(error.message, CLI_EXIT.usage, error);
  const code = codeOf(error);
  const at = `port ${String(port)} of ${host}`;
  if (code === "EADDRINUSE")
    return new CliError(`--port: ${at} is in use by another program; give another one, or 0 for any that is free`);
  if (code === "EACCES" && isListening(error))
    return new CliError(`--port: ${at} is not yours to use; give one from 1024 on`);
  if (code === "EADDRNOTAVAIL") return new CliError(`--host: ${host} is no address of this machine; give 127.0.0.1`);
  if (code === "EACCES" || code === "EROFS" || code === "EPERM") {
    return new CliError(
      `--root: ${root} may not be written to (${code}); name a folder that you may write to`,
      undefined,
      error,
    );
  }
  if (code === "ENOSPC")
    return new CliError(
      `--root: the disk of ${root} is full; make room, or name another folder`,
      CLI_EXIT.failed,
      error,
    );
  return error;
}

function isListening(error: unknown): boolean {
  return error instanceof Error && "syscall" in error && error.syscall === "listen";
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
