/** Writes a container image of one layer without any image tool, the same bytes for the same content. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { lstat, mkdtemp, readdir, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { pack, type Header, type Pack } from "tar-stream";

/** What the image holds at `path`: a file or a folder of this machine, or a text. */
export type ImageContent =
  | { readonly path: string; readonly from: string }
  | { readonly path: string; readonly text: string; readonly mode?: number }
  | { readonly path: string; readonly folder: { readonly mode: number } };

export interface OciImage {
  /** `<registry>/<name>:<tag>`; nothing is ever pulled, so the registry may be `localhost`. */
  readonly name: string;
  readonly content: readonly ImageContent[];
  readonly entrypoint: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** `uid` or `uid:gid`; root when left out. */
  readonly user?: string;
  readonly workingFolder?: string;
}

const MEDIA = "application/vnd.oci.image";
const ANYBODY = 0o1777;

/** Writes the image to `target` as a tar in OCI layout, which containerd imports. Every file belongs to root, of time 0. */
export async function writeOciImage(target: string, image: OciImage): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), "millrace-image-"));
  try {
    const layerFile = join(scratch, "layer.tar");
    const layer = await writeLayer(layerFile, image.content);
    const config = blob(configOf(image, layer.digest));
    const manifest = blob({
      schemaVersion: 2,
      mediaType: `${MEDIA}.manifest.v1+json`,
      config: { mediaType: `${MEDIA}.config.v1+json`, digest: config.digest, size: config.bytes.length },
      layers: [{ mediaType: `${MEDIA}.layer.v1.tar`, digest: layer.digest, size: layer.size }],
    });
    const archive = pack();
    const written = pipeline(archive, createWriteStream(target));
    await addText(archive, "oci-layout", '{"imageLayoutVersion":"1.0.0"}');
    await addText(archive, "index.json", JSON.stringify(indexOf(image.name, manifest)));
    for (const { digest, bytes } of [config, manifest]) await addText(archive, blobPath(digest), bytes);
    await addFile(archive, { name: blobPath(layer.digest), mode: 0o644, size: layer.size }, layerFile);
    archive.finalize();
    await written;
  } finally {
    await rm(scratch, { recursive: true });
  }
}

interface Blob {
  readonly digest: string;
  readonly bytes: Buffer;
}

function blob(content: object): Blob {
  const bytes = Buffer.from(JSON.stringify(content));
  return { bytes, digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}` };
}

function blobPath(digest: string): string {
  return `blobs/${digest.replace(":", "/")}`;
}

function configOf(image: OciImage, layerDigest: string): object {
  const environment = { PATH: "/usr/local/bin:/usr/bin:/bin", ...image.environment };
  return {
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    config: {
      Entrypoint: image.entrypoint,
      Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
      ...(image.user === undefined ? {} : { User: image.user }),
      ...(image.workingFolder === undefined ? {} : { WorkingDir: image.workingFolder }),
    },
    rootfs: { type: "layers", diff_ids: [layerDigest] },
  };
}

function indexOf(name: string, manifest: Blob): object {
  const annotations = {
    "io.containerd.image.name": name,
    "org.opencontainers.image.ref.name": name.slice(name.lastIndexOf(":") + 1),
  };
  const entry = { mediaType: `${MEDIA}.manifest.v1+json`, digest: manifest.digest, size: manifest.bytes.length };
  return { schemaVersion: 2, manifests: [{ ...entry, annotations }] };
}

async function writeLayer(target: string, content: readonly ImageContent[]): Promise<{ digest: string; size: number }> {
  const archive = pack();
  const hash = createHash("sha256");
  let size = 0;
  const measure = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      size += chunk.length;
      done(null, chunk);
    },
  });
  const written = pipeline(archive, measure, createWriteStream(target));
  await addFolder(archive, "tmp", ANYBODY);
  for (const one of content) {
    const path = one.path.replace(/^\//, "");
    if ("text" in one) await addText(archive, path, one.text, one.mode);
    else if ("folder" in one) await addFolder(archive, path, one.folder.mode);
    else await addPath(archive, path, one.from);
  }
  archive.finalize();
  await written;
  return { digest: `sha256:${hash.digest("hex")}`, size };
}

async function addPath(archive: Pack, name: string, from: string): Promise<void> {
  const found = await lstat(from);
  const mode = found.mode & 0o7777;
  if (found.isSymbolicLink()) {
    await addEntry(archive, { name, type: "symlink", linkname: await readlink(from), mode });
  } else if (found.isDirectory()) {
    await addFolder(archive, name, mode);
    for (const entry of (await readdir(from)).sort()) await addPath(archive, `${name}/${entry}`, join(from, entry));
  } else if (found.isFile()) {
    await addFile(archive, { name, mode, size: found.size }, from);
  } else {
    throw new Error(`${from} is neither a file nor a folder nor a link, so an image cannot hold it`);
  }
}

function addFolder(archive: Pack, name: string, mode: number): Promise<void> {
  return addEntry(archive, { name, type: "directory", mode });
}

function addText(archive: Pack, name: string, text: string | Buffer, mode = 0o644): Promise<void> {
  return addEntry(archive, { name, mode }, text);
}

const ROOTS = { uid: 0, gid: 0, uname: "", gname: "", mtime: new Date(0) } as const;

function addEntry(
  archive: Pack,
  headers: Partial<Header> & { name: string },
  content?: string | Buffer,
): Promise<void> {
  return new Promise((resolve, reject) => {
    archive.entry({ ...headers, ...ROOTS }, content ?? "", (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

async function addFile(archive: Pack, headers: Partial<Header> & { name: string }, from: string): Promise<void> {
  await pipeline(createReadStream(from), archive.entry({ ...headers, ...ROOTS }));
}
