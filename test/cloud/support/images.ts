/** The images of the service and of the worker, built from their own Dockerfiles on bases made here, kept as tars. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { type CacheEntry, cacheFolder, ensureEntries, keyOf } from "./cache-entry.ts";
import { baseTag, imageBasesEntry, loadBases } from "./image-bases.ts";
import { Buildah, imageToolsEntry } from "./image-tools.ts";

const repository = join(import.meta.dirname, "../../..");

/** What each image is made of, beside the packages of `package-lock.json`. */
const recipes = {
  service: { dockerfile: "services/batch-api/Dockerfile", sources: ["protocol", "project", "backends", "batch-api"] },
  worker: { dockerfile: "services/worker/Dockerfile", sources: ["protocol", "project", "backends", "worker"] },
} as const;

export type ImageName = keyof typeof recipes;
export const imageNames = Object.keys(recipes) as readonly ImageName[];

export interface BuiltImage {
  /** `localhost/millrace/<image>:<hash of all that it is made of>`; the same sources have the same name. */
  readonly tag: string;
  /** A tar that `ctr images import`, `docker load` and `podman load` read. */
  readonly archive: string;
}

/** Earlier images that are kept per name: another run may use them just now. */
const earlierKept = 2;

/**
 * The images of the sources as they are now; built when they are not in the cache: minutes at first, seconds after a change of sources.
 *
 * @throws {Error} with the fix, when the machine cannot build images or a step failed
 */
export async function ensureImages(root: string = repository): Promise<Readonly<Record<ImageName, BuiltImage>>> {
  const cache = cacheFolder(process.env);
  const [tools] = await ensureEntries(cache, [imageToolsEntry(cache)]);
  const [bases] = await ensureEntries(cache, [imageBasesEntry(tools)]);
  const build = { root, tools, bases, storage: join(cache, `image-storage-${keyOf([basename(bases)])}`) };
  const one = async (name: ImageName): Promise<BuiltImage> => {
    const hashOf = () => keyOf([basename(tools), basename(bases), ...inputsOf(root, name)]);
    const hash = hashOf();
    const tag = `localhost/millrace/${name}:${hash}`;
    const [folder] = await ensureEntries(cache, [imageEntry(name, tag, build, () => hashOf() === hash)]);
    await removeEarlier(cache, name, basename(folder));
    return { tag, archive: join(folder, "image.tar") };
  };
  return { service: await one("service"), worker: await one("worker") };
}

interface Build {
  readonly root: string;
  readonly tools: string;
  readonly bases: string;
  readonly storage: string;
}

/** `isAsHashed`: the sources are still those that the tag names. */
function imageEntry(name: ImageName, tag: string, build: Build, isAsHashed: () => boolean): CacheEntry {
  return {
    folder: `image-${name}-${tag.slice(tag.lastIndexOf(":") + 1)}`,
    what: `building the image of the ${name}, a minute at first, then seconds`,
    maker: "images", // one at a time: they share buildah's storage
    async make(into) {
      const buildah = await Buildah.open(build.tools, build.storage);
      await loadBases(buildah, build.bases);
      await buildah.build(join(build.root, recipes[name].dockerfile), build.root, tag, argumentsOf(name));
      if (!isAsHashed()) throw new Error(`the sources of the ${name} changed while its image was built; run it again`);
      await buildah.save(tag, join(into, "image.tar"));
      await writeFile(join(into, "tag"), tag);
      await buildah.run(["rmi", tag]).catch(() => undefined); // the tar is what counts; cached layers stay
    },
  };
}

/** Bases as build arguments, and the machine's npm settings and authorities as secrets, which no layer keeps. */
function argumentsOf(name: ImageName): string[] {
  const bases = { NODE_IMAGE: baseTag("node"), BASE_IMAGE: baseTag("debian") };
  const all = name === "worker" ? { ...bases, PYTHON_IMAGE: baseTag("python") } : bases;
  const secrets = {
    npmrc: process.env["NPM_CONFIG_USERCONFIG"] ?? join(homedir(), ".npmrc"),
    ca_certificates: process.env["NODE_EXTRA_CA_CERTS"] ?? "",
  };
  return [
    ...Object.entries(all).flatMap(([arg, value]) => ["--build-arg", `${arg}=${value}`]),
    ...Object.entries(secrets).flatMap(([id, path]) => (existsSync(path) ? ["--secret", `id=${id},src=${path}`] : [])),
  ];
}

/** Paths and hashes of all that a builder is handed for an image. */
function inputsOf(root: string, name: ImageName): string[] {
  const { dockerfile, sources } = recipes[name];
  const folders = sources.flatMap((source) => filesUnder(join(root, "services", source)));
  // as the Dockerfiles take it: the package has its lock in services/, and where there are two the repository's own counts
  const lock = existsSync(join(root, "package-lock.json")) ? "package-lock.json" : "services/package-lock.json";
  const single = [dockerfile, ".dockerignore", "package.json", lock, "LICENSE"];
  return [...single.map((path) => join(root, path)), ...folders].flatMap((path) => [
    path.slice(root.length),
    (statSync(path).mode & 0o100).toString(8),
    createHash("sha256").update(readFileSync(path)).digest("hex"),
  ]);
}

function filesUnder(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name !== "Dockerfile")
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.includes("__pycache__"))
    .sort();
}

async function removeEarlier(cache: string, name: ImageName, current: string): Promise<void> {
  const earlier = readdirSync(cache)
    .filter((folder) => folder.startsWith(`image-${name}-`) && folder !== current)
    .map((folder) => ({ folder, at: statSync(join(cache, folder), { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
    .sort((one, other) => other.at - one.at);
  for (const { folder } of earlier.slice(earlierKept)) await rm(join(cache, folder), { recursive: true, force: true });
}
