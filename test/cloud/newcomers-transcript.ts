/**
 * Prints what Pulumi's real engine says to a newcomer's settings of `infra/`, three wrong ones first, as docs/first-cluster.md
 * shows it: `node test/cloud/newcomers-transcript.ts`. Providers are recording ones: nothing is created anywhere.
 */
import { join } from "node:path";
import { PulumiStack } from "./support/pulumi-engine.ts";
import { copyProject } from "./support/pulumi-project.ts";
import { RecordingProvider } from "./support/pulumi-provider.ts";

const REPOSITORY = join(import.meta.dirname, "..", "..");
const PARTS = ["Pulumi.yaml", "package.json", "package-lock.json", "infra", "components", "services", "examples"];
const RIGHT = {
  "aws:region": "eu-west-1",
  "millrace:apiServerCidrs": ["203.0.113.7/32"],
  "millrace:cpuNodes": { instanceTypes: ["c7i.xlarge"], nodesMax: 4 },
};
/** Rows of a resource table that are shown. */
const ROWS_SHOWN = 4;

const ATTEMPTS: readonly { readonly what: string; readonly settings: Readonly<Record<string, unknown>> }[] = [
  {
    what: "A network without its list, one zone, and a name that is spelt wrongly:",
    settings: { ...RIGHT, "millrace:apiServerCidrs": "203.0.113.7/32", "millrace:zones": 1, "millrace:natGateway": 0 },
  },
  {
    what: "An instance type that there is not:",
    settings: { ...RIGHT, "millrace:cpuNodes": { instanceTypes: ["c7i.xlrge"], nodesMax: 4 } },
  },
  {
    what: "An image whose content may change:",
    settings: { ...RIGHT, "millrace:workerImage": "registry.example/worker:latest" },
  },
  { what: "And the right ones:", settings: RIGHT },
];

/** Without the engine's dots, and of a long table its beginning. */
function shown(text: string): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("@ previewing"));
  const rows = lines.filter((line) => line.startsWith(" + "));
  const cut = new Set(rows.slice(ROWS_SHOWN));
  const kept = lines.filter((line) => !cut.has(line));
  const last = rows[ROWS_SHOWN - 1];
  const at = last === undefined ? -1 : kept.indexOf(last);
  if (cut.size > 0) kept.splice(at + 1, 0, ` … ${String(cut.size)} more`);
  return kept.join("\n");
}

const project = await copyProject(REPOSITORY, PARTS);
const provider = await RecordingProvider.start();
const stack = await PulumiStack.create({ project: project.folder, provider });
try {
  for (const { what, settings } of ATTEMPTS) {
    await stack.configure(settings);
    const { text } = await stack.preview();
    process.stdout.write(`${what}\n\n\`\`\`text\n$ pulumi preview\n${shown(text)}\n\`\`\`\n\n`);
  }
} finally {
  await stack.remove();
  provider.stop();
  await project.remove();
}
