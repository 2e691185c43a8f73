/** A builder of environments in a process of its own, to be killed. Says "running" when dependencies.sh runs. */
import { text } from "node:stream/consumers";

import { realClock } from "../../services/backends/clock.real.ts";
import { VenvEnvironments } from "../../services/backends/environments.venv.ts";
import { SPEC_DEFAULTS } from "../../services/protocol/api-spec.parse.ts";
import { aProject } from "./project-folder.ts";

const [root = "", wheels = ""] = process.argv.slice(2);
const texts = Object.fromEntries(JSON.parse(await text(process.stdin)) as [string, string][]);
const env = { ...process.env, PIP_NO_INDEX: "1", PIP_FIND_LINKS: wheels, PIP_CONFIG_FILE: "/dev/null" };
const environments = new VenvEnvironments({ root, python: "python3", env, clock: realClock });
await environments.build(aProject(texts), SPEC_DEFAULTS.dependencies, (sentence) => {
  if (sentence === "running dependencies.sh") process.stdout.write("running\n");
});
