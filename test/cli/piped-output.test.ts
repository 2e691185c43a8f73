/** What a command prints reaches a reader that is slower than it, to the last byte. */
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";

const PROCESS_CLI = new URL("../../cli/process-cli.ts", import.meta.url).href;

/** Fills the pipe until a piece stays behind in the process, though less than a stream calls full; exits as `main.ts` does. */
const WRITER = `
import { processCli } from ${JSON.stringify(PROCESS_CLI)};
const cli = processCli({ environment: {}, exit: (code) => process.exit(code), version: "" });
const name = process.argv[1];
while (process["std" + name].writableLength === 0) cli[name].write("row ".repeat(1_000));
cli[name].write("the end");
await cli[name].flushed();
process.exit(0);
`;

test.for(["out", "err"] as const)("std%s to a pipe that is full loses nothing", async (name) => {
  const child = spawn(process.execPath, ["--input-type=module", "--eval", WRITER, name], { stdio: "pipe" });
  const said = await text(name === "out" ? child.stdout : child.stderr);
  expect(said.slice(-11)).toBe("row the end");
});
