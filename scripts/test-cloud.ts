// npm run test:cloud [-- files…] [-- --raise-floors]: the layers against real servers. Builds what is missing of them first, into a cache folder.
import { realNodesPrefix, whyNoRealNodes } from "./real-nodes.ts";
import { run, runTests } from "./test-run.ts";

const args = process.argv.slice(2);
const reason = whyNoRealNodes(process.env);
const warning = `
WARNING: real Kubernetes nodes cannot run here: ${reason ?? ""}.
         Pods run as plain processes instead, and tests "${realNodesPrefix} …" are skipped: this run proves less.

`;

if ((await run("node", ["test/cloud/prepare.ts"])) !== 0) {
  process.stdout.write("no test was run\n0 passed, 1 failed\n");
  process.exitCode = 1;
} else {
  if (reason !== undefined) process.stdout.write(warning);
  process.exitCode = await runTests({
    command: "test:cloud",
    config: "vitest.cloud.config.ts",
    args,
    mayBeSkippedHere: (fullName) => reason !== undefined && fullName.startsWith(realNodesPrefix),
  });
  if (reason !== undefined) process.stderr.write(warning);
}
