import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { realClock } from "../../services/backends/clock.real.ts";
import { openFileStore } from "../../services/backends/object-store.files.ts";
import { MemoryStore } from "../../services/backends/object-store.memory.ts";
import { objectStoreContract } from "./object-store.contract.ts";

objectStoreContract("memory", async () => {
  const store = new MemoryStore({ clock: realClock });
  return { one: store, other: store, close: async () => undefined };
});

objectStoreContract("a folder opened twice", async () => {
  const root = await mkdtemp(join(tmpdir(), "millrace-store-"));
  const one = await openFileStore({ root });
  const other = await openFileStore({ root });
  return {
    one,
    other,
    async close() {
      await one.close();
      await other.close();
      await rm(root, { recursive: true });
    },
  };
});
