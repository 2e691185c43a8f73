/** The submission service in a cluster. On a laptop `millrace serve` starts the same service over embedded backends. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { realClock } from "../backends/clock.real.ts";
import { Misconfigured } from "../protocol/environment.ts";
import { SERVICE_EXIT } from "../protocol/exit-codes.ts";
import { startCloud } from "./cloud.ts";
import { readServiceConfig } from "./config.ts";

const PACKAGE = join(import.meta.dirname, "..", "..", "package.json");
/** A backend that does not answer must not hold the process until it is killed: a pod has 30 s by default. */
const STOP_MS = 20_000;
const logger = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime });

function fatal(error: unknown): void {
  logger.fatal({ err: error }, "the service cannot go on; another replica, or the next start, does");
  process.exit(SERVICE_EXIT.fatal);
}

async function main(): Promise<void> {
  const config = readServiceConfig(process.env);
  const { version } = JSON.parse(readFileSync(PACKAGE, "utf8")) as { readonly version: string };
  const service = await startCloud({ config, environment: process.env, logger, version, onFatal: fatal });
  const { api, auth, port, healthPort } = config;
  logger.info({ api, auth: auth.kind, port, healthPort }, "serving");
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      logger.info({ signal }, "leaving: jobs go on with another replica");
      // Nothing is lost by an end in the middle: what is under way is done again by whoever takes over.
      const ended = Promise.race([service.stop(), realClock.sleep(STOP_MS)]);
      ended.then(() => process.exit(SERVICE_EXIT.done), fatal);
    });
  }
}

main().catch((error: unknown) => {
  if (!(error instanceof Misconfigured)) {
    fatal(error);
    return;
  }
  process.stderr.write(`${error.message}\n`);
  process.exit(SERVICE_EXIT.misconfigured);
});
