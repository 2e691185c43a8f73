import { appendFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { FileLogStore } from "../../services/backends/log-store.files.ts";
import { MemoryLogStore } from "../../services/backends/log-store.memory.ts";
import { logStoreContract } from "./log-store.contract.ts";

logStoreContract("memory", async () => ({ store: new MemoryLogStore(), close: async () => undefined }));

logStoreContract("files", async () => {
  const root = await mkdtemp(join(tmpdir(), "millrace-logs-"));
  return { store: new FileLogStore({ root }), close: async () => await rm(root, { recursive: true }) };
});

it("leaves a torn last line out, and goes on behind it when its worker comes back", async () => {
  const root = await mkdtemp(join(tmpdir(), "millrace-logs-"));
  try {
    const line = { at: 1, worker: "service", from: "service", text: "whole" } as const;
    await new FileLogStore({ root }).append("j", "service", [line]);
    await appendFile(join(root, "j/service.ndjson"), '{"at":2,"from":"ser');
    const after = new FileLogStore({ root });

    expect((await after.read("j", {})).lines).toEqual([line]);
    await after.append("j", "service", [{ ...line, at: 3 }]);
    expect((await after.read("j", {})).lines).toEqual([line, { ...line, at: 3 }]);
  } finally {
    await rm(root, { recursive: true });
  }
});
