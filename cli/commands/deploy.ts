import { CLI_EXIT } from "../../services/protocol/exit-codes.ts";
import type { Cli } from "../cli.ts";
import type { CommonOptions } from "../common-options.ts";
import { connect } from "../connection.ts";
import { withElapsed } from "../elapsed.ts";
import { deployProject, readProject } from "../project.ts";

export interface DeployOptions extends CommonOptions {
  readonly api?: string;
}

/** Packs a project, has its environment built, makes it what new jobs run on. */
export async function deploy(cli: Cli, folder: string, options: DeployOptions): Promise<number> {
  const project = await readProject(cli, folder, options.api);
  const { client } = await connect(cli, options);
  const deployed = await withElapsed(cli, cli.err, (say) => deployProject(client, project, say), cli.interrupts.take());
  if (deployed === undefined) {
    cli.err.write("detached; the service goes on with the deployment\n");
    return CLI_EXIT.detached;
  }
  if (options.output === "json") cli.out.write(`${JSON.stringify(deployed, undefined, 2)}\n`);
  else cli.out.write(`${deployed.change} ${deployed.api.name} (version ${deployed.api.version})\n`);
  return CLI_EXIT.ok;
}
