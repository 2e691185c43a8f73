// npm test [-- files…]: every layer that needs nothing but Node and Python; `npm run test:floors` then raises test/floors.json.
import { runTests } from "./test-run.ts";

process.exitCode = await runTests({ command: "test", config: "vitest.config.ts", args: process.argv.slice(2) });
