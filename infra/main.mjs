// What Pulumi starts, on whichever Node comes first on PATH: plain JavaScript, so that one that cannot read the program in
// TypeScript says so in a sentence instead of as a syntax error.
import { RunError } from "@pulumi/pulumi";

if (!process.features.typescript) {
  const fault = new RunError(
    `Node ${process.versions.node} (${process.execPath}) cannot run this stack's program, which is TypeScript: it takes Node 24 ` +
      "or newer. Run `npx -c 'pulumi up'`, which takes the one that `npm ci` has put into node_modules, or put a newer Node " +
      "first on PATH.",
  );
  fault.stack = fault.message; // Pulumi colours a stack, at which Node 20 works for a minute
  throw fault;
}

const { outputs } = await import("./index.ts");
export default outputs;
