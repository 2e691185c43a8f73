import { isSegment } from "../object-key.ts";
import { isAbsence } from "./durable-folder.ts";
import type { FileSystem } from "./file-system.ts";
import { chainNameOf } from "./record-chain.ts";

export interface WalkedFile {
  readonly key: string;
  readonly path: string;
  readonly isRecord: boolean;
}

interface Step {
  /** What it sorts by among its siblings: a folder with its slash, as it stands in the keys below it. */
  readonly name: string;
  readonly isFolder: boolean;
  /** The file's own name; a record's is that of its newest version. */
  readonly file: string;
  readonly number: number;
}

/** Files whose key starts with `prefix` and is greater than `after`, in ascending order; descends only where such can be. */
export async function* walk(
  files: FileSystem,
  root: string,
  prefix: string,
  after: string,
): AsyncGenerator<WalkedFile, void, undefined> {
  const slash = prefix.lastIndexOf("/") + 1;
  yield* walkFolder(files, root, prefix.slice(0, slash), prefix, after);
}

/** `folderKey`: the folder's key with its slash, or nothing for the root. */
async function* walkFolder(
  files: FileSystem,
  root: string,
  folderKey: string,
  prefix: string,
  after: string,
): AsyncGenerator<WalkedFile, void, undefined> {
  for (const step of await stepsOf(files, `${root}/${folderKey}`)) {
    const key = folderKey + step.name;
    if (step.isFolder) {
      if (!key.startsWith(prefix) && !prefix.startsWith(key)) continue;
      if (key < after && !after.startsWith(key)) continue;
      yield* walkFolder(files, root, key, prefix, after);
    } else if (key.startsWith(prefix) && key > after) {
      yield walked(root, folderKey, step);
    }
  }
}

/** Files below a folder, its own before those of its folders: who wants to know whether there is one has it soonest. */
export async function* filesFirst(
  files: FileSystem,
  root: string,
  folderKey: string,
): AsyncGenerator<WalkedFile, void, undefined> {
  const steps = await stepsOf(files, `${root}/${folderKey}`);
  for (const step of steps) {
    if (!step.isFolder) yield walked(root, folderKey, step);
  }
  for (const step of steps) {
    if (step.isFolder) yield* filesFirst(files, root, folderKey + step.name);
  }
}

/** Names of the folders in a folder, behind one of them. */
export async function foldersIn(files: FileSystem, path: string, after?: string): Promise<readonly string[]> {
  const names = (await stepsOf(files, path)).filter(({ isFolder }) => isFolder).map(({ name }) => name);
  return names.filter((name) => after === undefined || name > `${after}/`).map((name) => name.slice(0, -1));
}

function walked(root: string, folderKey: string, { name, file, number }: Step): WalkedFile {
  return { key: folderKey + name, path: `${root}/${folderKey}${file}`, isRecord: number > 0 };
}

async function stepsOf(files: FileSystem, path: string): Promise<readonly Step[]> {
  const steps = new Map<string, Step>();
  try {
    for (const { name, isFolder } of await files.readdir(path)) {
      const step = stepOf(name, isFolder);
      if (step === undefined) continue;
      const other = steps.get(step.name);
      if (other === undefined || other.number < step.number) steps.set(step.name, step);
    }
  } catch (error) {
    if (!isAbsence(error)) throw error;
  }
  return [...steps.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Names outside the alphabet of keys are none of the store's keys: its temporary folder, other programs' files. */
function stepOf(name: string, isFolder: boolean): Step | undefined {
  if (isFolder) return isSegment(name) ? { name: `${name}/`, isFolder, file: name, number: 0 } : undefined;
  if (isSegment(name)) return { name, isFolder, file: name, number: 0 };
  const chain = chainNameOf(name);
  if (chain === undefined || !isSegment(chain.key)) return undefined;
  return { name: chain.key, isFolder, file: name, number: chain.number };
}
