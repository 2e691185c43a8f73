/** A laptop's service in a process of its own, for tests that kill it. Says its address in one line; ends with its input. */
import pino from "pino";
import { startLaptop } from "../../services/batch-api/laptop.ts";

const { root, port, allow, lanes } = JSON.parse(process.argv[2] ?? "{}") as {
  readonly root: string;
  readonly port: number;
  readonly allow: readonly string[];
  readonly lanes: number;
};

try {
  const service = await startLaptop({
    root,
    host: "127.0.0.1",
    port,
    allow,
    lanes,
    environment: process.env,
    logger: pino({ level: "info" }, pino.destination({ dest: 2, sync: true })),
    version: "0.0.0",
    onFatal: (error) => {
      process.stderr.write(`fatal: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
      process.exit(70);
    },
  });
  const stop = () => {
    process.stdin.destroy();
    void service.stop().then(() => process.exit(0));
  };
  process.once("SIGTERM", stop);
  process.stdin.once("end", stop).resume();
  process.stdout.write(`${JSON.stringify({ address: service.address })}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
