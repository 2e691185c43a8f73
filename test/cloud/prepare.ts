// node test/cloud/prepare.ts: puts into the cache what the cloud tests need and this repository does not hold. Quick when nothing is missing.
import { ensureBinaries, ensureDebianRoot } from "./support/servers-cache.ts";

try {
  await ensureBinaries();
  await ensureDebianRoot();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
