/** The submission service in a cluster. On a laptop `millrace serve` starts the same service over embedded backends. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { Misconfigured } from "../protocol/environment.ts";
import { SERVICE_EXIT } from "../protocol/exit-codes.ts";
import { startCloud } from "./cloud.ts";
import { readServiceConfig } from "./config.ts";

const PACKAGE = join(import.meta.dirname, "..", "..", "package.json");
const logger = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime });

function fatal(error: unknown): void {
  logger.fatal({ err: error }, "the service cannot go on; another replica, or the next start, does");
  process.exit(SERVICE_EXIT.fatal);
}

async function main(): Promise<void> {
  const config = readServiceConfig(process.env);
  const { version } = JSON.parse(readFileSync(PACKAGE, "utf8")) as { readonly version: string };
  const service = await startCloud({ config, environment: process.env, logger, version, onFatal: fatal });
  logger.info({ api: config.api, port: config.port, healthPort: config.healthPort }, "serving");
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      logger.info({ signal }, "leaving: jobs go on with another replica");
      service.stop().then(() => process.exit(SERVICE_EXIT.done), fatal);
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
