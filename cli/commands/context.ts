/** `millrace context`: which service commands go to. */
import { access, constants } from "node:fs/promises";
import { resolve } from "node:path";
import { ENV } from "../../services/protocol/environment.ts";
import { CLI_EXIT } from "../../services/protocol/exit-codes.ts";
import { nearestWord } from "../../services/protocol/nearest-word.ts";
import { CliError } from "../cli-error.ts";
import type { Cli } from "../cli.ts";
import type { CommonOptions } from "../common-options.ts";
import { rootOf } from "../connection.ts";
import {
  changeContexts,
  checkContextName,
  checkedAddress,
  contextNamed,
  isOpen,
  readContexts,
  withCurrent,
  without,
  type Context,
  type Contexts,
} from "../contexts.ts";
import { paintFor } from "../paint.ts";
import { tableLines } from "../table.ts";

export interface ContextOptions extends CommonOptions {
  readonly apiKeyFile?: string;
}

const ACTIONS = ["list", "use", "leave", "add", "remove"] as const;
type Action = (typeof ACTIONS)[number];

/** Lists them, or changes which there are and which is current. */
export async function context(
  cli: Cli,
  action: string | undefined,
  name: string | undefined,
  options: ContextOptions,
): Promise<number> {
  const asked = checkedAction(action ?? "list");
  if (asked !== "add" && (options.address ?? options.apiKeyFile) !== undefined) {
    throw new CliError(`context ${asked}: --address and --api-key-file go with \`millrace context add NAME\``);
  }
  const contexts = await carryOut(cli, asked, name, options);
  if (options.output === "json") cli.out.write(`${JSON.stringify(toJson(contexts), undefined, 2)}\n`);
  else if (asked === "list") cli.out.write(`${listing(cli, contexts).join("\n")}\n`);
  else cli.err.write(`${wherein(cli, contexts)}\n`);
  return CLI_EXIT.ok;
}

function checkedAction(given: string): Action {
  const known = ACTIONS.find((one) => one === given);
  if (known !== undefined) return known;
  const near = nearestWord(given, ACTIONS);
  const fix = near === undefined ? `give one of ${ACTIONS.join(", ")}` : `did you mean "${near}"?`;
  throw new CliError(`ACTION: found "${given}"; ${fix}`);
}

async function carryOut(
  cli: Cli,
  action: Action,
  given: string | undefined,
  options: ContextOptions,
): Promise<Contexts> {
  if (action === "list" || action === "leave") {
    if (given !== undefined) throw new CliError(`context ${action}: "${given}" is one too much; it takes no name`);
    // while none is current, commands go to the service of this machine
    return action === "list" ? readContexts(cli) : changeContexts(cli, ({ contexts }) => ({ contexts }));
  }
  if (given === undefined) throw new CliError(`context ${action}: NAME is missing; \`millrace context\` lists names`);
  const name = given;
  if (action === "add") return add(cli, name, options);
  return changeContexts(cli, (before) => {
    const { name: found } = contextNamed(before, name);
    return action === "use" ? { ...before, current: found } : without(before, found);
  });
}

async function add(cli: Cli, name: string, { address, apiKeyFile }: ContextOptions): Promise<Contexts> {
  checkContextName(name, "NAME");
  if (address === undefined) {
    throw new CliError(`context add ${name}: --address is missing; give one like https://batch.example.com`);
  }
  const added: Context = {
    name,
    address: checkedAddress(address),
    ...(apiKeyFile === undefined ? {} : { apiKeyFile: await readableFile(cli, apiKeyFile) }),
  };
  return changeContexts(cli, (before) => {
    const older = before.contexts.find((one) => one.name === name);
    if (older?.heldBy !== undefined && isOpen(older)) {
      throw new CliError(`context add ${name}: a \`millrace connect\` holds that name; give another one`);
    }
    return withCurrent(before, added);
  });
}

/** Its absolute path. Throws `CliError` where it cannot be read. */
export async function readableFile(cli: Cli, given: string): Promise<string> {
  const path = resolve(cli.folder, given);
  await access(path, constants.R_OK).catch((error: unknown) => {
    const why = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new CliError(`--api-key-file: ${path} cannot be read (${why}); name the file that holds your API key`);
  });
  return path;
}

/** Where commands go from now on. */
export function wherein(cli: Cli, { current, contexts }: Contexts): string {
  const found = contexts.find(({ name }) => name === current);
  const to =
    found === undefined ? `the service of this machine, on ${rootOf(cli, {})}` : `${found.name}, ${found.address}`;
  const over = cli.environment[ENV.address] ?? "";
  const but = over === "" ? "" : `; not while ${ENV.address} is set (${over}), which goes before: unset it`;
  return `commands go to ${to}${but}`;
}

function listing(cli: Cli, { current, contexts }: Contexts): readonly string[] {
  const paint = paintFor(cli.out, cli.environment);
  const mark = (is: boolean) => (is ? paint("green", "*") : "");
  const rows = [...contexts]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((one) => {
      const { name, address, heldBy } = one;
      const held = heldBy === undefined ? "" : `${heldBy.namespace} of ${heldBy.cluster}`;
      return [mark(name === current), name, address, isOpen(one) ? held : `ended: ${heldBy?.command ?? ""}`];
    });
  const here = [mark(current === undefined), "-", rootOf(cli, {}), "this machine"];
  const columns = ["", "NAME", "ADDRESS", "WHERE"].map((title) => ({ title }));
  return tableLines(columns, [...rows, here], paint);
}

function toJson({ current, contexts }: Contexts): object {
  return {
    current: current ?? null,
    contexts: contexts.map((one) => ({
      name: one.name,
      address: one.address,
      open: isOpen(one),
      api_key_file: one.apiKeyFile ?? null,
      api: one.heldBy?.api ?? null,
      namespace: one.heldBy?.namespace ?? null,
      cluster: one.heldBy?.cluster ?? null,
    })),
  };
}
