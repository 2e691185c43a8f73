// npm run check [-- name…]: every check, fast ones first, all of them even when one fails; what a passing check says is not shown.
import { spawn } from "node:child_process";

/** A check: the command that makes it, `what` in a few words for the reader of a failure. */
interface Check {
  readonly command: readonly string[];
  readonly what: string;
}

const python = ".venv/bin/python";

const checks = {
  "ruff format": {
    command: [python, "-m", "ruff", "format", "--check", "."],
    what: "Python layout; `.venv/bin/ruff format .` mends it",
  },
  ruff: { command: [python, "-m", "ruff", "check", "."], what: "Python habits" },
  prettier: { command: ["prettier", "--check", "--log-level", "warn", "."], what: "layout; `npm run format` mends it" },
  tidy: {
    command: ["vitest", "run", "--project", "unit", "test/tidy.test.ts"],
    what: "caps on files and functions, names",
  },
  imports: {
    command: ["depcruise", "--config", "dependency-cruiser.config.js", "."],
    what: "which folder may import which",
  },
  knip: { command: ["knip"], what: "files, exports and packages that nothing uses" },
  mypy: { command: [python, "-m", "mypy"], what: "Python types" },
  tsc: { command: ["tsc", "--project", "."], what: "TypeScript types" },
  eslint: { command: ["eslint", "--max-warnings", "0", "."], what: "TypeScript habits" },
} as const satisfies Record<string, Check>;

async function run(command: readonly string[]): Promise<{ passed: boolean; said: string }> {
  const [file = "", ...args] = command;
  const colour = process.stdout.isTTY ? { FORCE_COLOR: "1" } : { NO_COLOR: "1", FORCE_COLOR: undefined };
  const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...colour } });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (said += text));
  return new Promise((resolve) => {
    child.on("error", (error) => {
      resolve({ passed: false, said: `${file} did not start: ${error.message}\n` });
    });
    child.on("close", (code) => {
      resolve({ passed: code === 0, said });
    });
  });
}

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !Object.hasOwn(checks, name));
if (unknown.length > 0) {
  process.stderr.write(`no check is named ${unknown.join(", ")}; there are: ${Object.keys(checks).join(", ")}\n`);
  process.exit(2);
}

const failed: string[] = [];
let passed = 0;
for (const [name, { command, what }] of Object.entries(checks)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  const startedAt = performance.now();
  const outcome = await run(command);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  process.stdout.write(
    `${outcome.passed ? "ok    " : "FAILED"} ${name.padEnd(12)} ${seconds.padStart(5)} s   ${what}\n`,
  );
  if (outcome.passed) passed += 1;
  else {
    failed.push(name);
    process.stdout.write(`${outcome.said.trimEnd()}\n\n`);
  }
}
process.stdout.write(
  `${String(passed)} checks passed, ${String(failed.length)} failed${failed.length > 0 ? `: ${failed.join(", ")}` : ""}\n`,
);
process.exitCode = failed.length > 0 ? 1 : 0;
