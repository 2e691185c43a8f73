// node test/cloud/prepare.ts: puts into the cache what the cloud tests need and this repository does not hold. Quick when nothing is missing.
import { whyNoRealNodes } from "../../scripts/real-nodes.ts";
import { ensureImages } from "./support/images.ts";
import { ensureMinistack } from "./support/ministack.ts";
import { ensureBinaries, ensureDebianRoot } from "./support/servers-cache.ts";

try {
  await ensureBinaries(); // first, for a machine without Go
  await ensureMinistack();
  if (whyNoRealNodes(process.env) === undefined) {
    await ensureDebianRoot();
    await ensureImages();
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
