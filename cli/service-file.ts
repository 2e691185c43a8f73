/** `<root>/service.json`: where the service of a root answers. Written when its doors are open, removed when they close. */
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { answers, serviceSocketPath } from "../services/backends/service-socket.ts";

export interface ServiceFile {
  readonly address: string;
  readonly pid: number;
  /** Folders that its jobs may read. */
  readonly allow: readonly string[];
}

export async function writeServiceFile(root: string, file: ServiceFile): Promise<void> {
  const path = pathOf(root);
  await writeFile(`${path}.new`, `${JSON.stringify(file)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

export async function removeServiceFile(root: string): Promise<void> {
  await rm(pathOf(root), { force: true });
}

/**
 * `running`: its doors are open. `starting`: it holds the root, and has not said where it answers. A file that a killed
 * service left behind counts for nothing.
 */
export type FoundService =
  { readonly kind: "none" } | { readonly kind: "starting" } | ({ readonly kind: "running" } & ServiceFile);

export async function findService(root: string): Promise<FoundService> {
  if (!(await answers(serviceSocketPath(root)))) return { kind: "none" };
  const text = await readFile(pathOf(root), "utf8").catch(() => undefined);
  return text === undefined ? { kind: "starting" } : { kind: "running", ...(JSON.parse(text) as ServiceFile) };
}

function pathOf(root: string): string {
  return join(root, "service.json");
}
