import { resolve } from "node:path";
import { ENV } from "../../services/protocol/environment.ts";
import { CLI_EXIT } from "../../services/protocol/exit-codes.ts";
import { CliError } from "../cli-error.ts";
import type { Cli } from "../cli.ts";
import type { CommonOptions } from "../common-options.ts";
import { rootOf } from "../connection.ts";
import { paintFor } from "../paint.ts";
import { KEEP_ALL, retentionFault, retentionOf } from "../../services/protocol/retention.ts";
import { serviceLogPath, startServing, type ServingOptions } from "../serving.ts";
import { checkedFolders } from "../allowed-folders.ts";
import { whenAborted } from "../when-aborted.ts";
import { factLines } from "../table.ts";

export interface ServeOptions extends CommonOptions {
  readonly host: string;
  readonly port: number;
  readonly allow?: readonly string[];
  readonly lanes: number;
  readonly keepResults?: number;
  readonly keepRecords?: number;
  readonly keepLogs?: number;
}

/** Serves until Ctrl-C or SIGTERM, then drains. */
export async function serve(cli: Cli, options: ServeOptions): Promise<number> {
  const root = rootOf(cli, options);
  const allow = await checkedFolders(options.allow ?? ["."], (folder) => resolve(cli.folder, folder));
  const retention = retentionAsked(options);
  const stopAsked = cli.interrupts.take();
  const fatal = Promise.withResolvers<unknown>();
  const serving = await startServing(cli, { ...options, root, allow, retention, onFatal: fatal.resolve });
  const { address } = serving.service;
  if (options.output === "json") cli.out.write(`${JSON.stringify({ address, root, pid: cli.pid, allow })}\n`);
  else tellStart(cli, { address, root, allow, retention });
  const end = await Promise.race([fatal.promise.then((error) => ({ error })), whenAborted(stopAsked)]);
  if (end === undefined) cli.err.write("draining: workers finish or hand back what they hold (again: stop at once)\n");
  await serving.stop();
  if (end === undefined) {
    cli.err.write("stopped; jobs that have not ended go on at the next `millrace serve`\n");
    return CLI_EXIT.ok;
  }
  const why = end.error instanceof Error ? end.error.message : String(end.error);
  throw new CliError(`the service cannot go on: ${why}; see ${serviceLogPath(root)}`, CLI_EXIT.failed, end.error);
}

/** Throws `CliError`. */
function retentionAsked({
  keepResults,
  keepRecords,
  keepLogs,
}: ServeOptions): NonNullable<ServingOptions["retention"]> {
  const asked = {
    ...(keepResults === undefined ? {} : { resultsDays: keepResults }),
    ...(keepRecords === undefined ? {} : { recordsDays: keepRecords }),
  };
  const retention = retentionOf(asked, KEEP_ALL);
  const fault = retentionFault(retention, { results: "--keep-results", records: "--keep-records" });
  if (fault !== undefined) throw new CliError(fault);
  return { ...retention, logsDays: keepLogs ?? null };
}

function tellStart(
  cli: Cli,
  { address, root, allow, retention }: Pick<ServingOptions, "root" | "allow" | "retention"> & { address: string },
): void {
  const paint = paintFor(cli.out, cli.environment);
  const facts = [
    ["address", paint("bold", address)],
    ["root", root],
    ["jobs may read", allow.join("\n")],
    ["log", serviceLogPath(root)],
    ...keptLines(retention),
  ] as const;
  cli.out.write(`Millrace ${cli.version} serves. Ctrl-C drains and ends it.\n${factLines(facts, paint).join("\n")}\n`);
  if (cli.environment[ENV.awsEndpoint] !== undefined)
    cli.out.write(`s3:// goes to ${cli.environment[ENV.awsEndpoint] ?? ""}\n`);
}

/** What is not kept for ever, which goes without saying. */
function keptLines(retention: ServingOptions["retention"]): readonly (readonly [string, string])[] {
  const days = { results: retention?.resultsDays, records: retention?.recordsDays, logs: retention?.logsDays };
  const said = Object.entries(days).flatMap(([what, count]) =>
    count === null || count === undefined ? [] : `${what} ${String(count)} days`,
  );
  return said.length === 0 ? [] : [["keeps", said.join(", ")]];
}
