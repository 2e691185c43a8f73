/** Reads an image's tar as `docker save` and buildah write it. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { extract } from "tar-stream";
import { runTool } from "./cache-entry.ts";

interface Manifest {
  readonly Config: string;
  readonly RepoTags: readonly string[];
  readonly Layers: readonly string[];
}

/** What a container engine is told of an image: the part of its configuration that matters here. */
export interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly WorkingDir: string;
  readonly StopSignal: string;
  readonly Labels: Readonly<Record<string, string>>;
}

export interface ReadImage {
  readonly tag: string;
  /** sha256 of the configuration, which names the layers by hash: the same id is the same image. */
  readonly id: string;
  readonly config: ImageConfig;
  /** Names of the layers' tars inside the archive, base first. */
  readonly layers: readonly string[];
}

export async function readImage(archive: string): Promise<ReadImage> {
  const texts = new Map<string, Buffer>();
  await eachEntry(archive, async (name, body) => {
    if (!name.endsWith(".json")) return body.resume();
    texts.set(name, Buffer.concat((await body.toArray()) as Buffer[]));
  });
  const [manifest] = JSON.parse(String(texts.get("manifest.json"))) as [Manifest];
  const config = texts.get(manifest.Config) ?? Buffer.alloc(0);
  return {
    tag: manifest.RepoTags[0] ?? "",
    id: createHash("sha256").update(config).digest("hex"),
    config: (JSON.parse(String(config)) as { config: ImageConfig }).config,
    layers: manifest.Layers,
  };
}

export interface ImageSizes {
  /** Bytes of all layers as tars, about what they take on a node's disk. */
  readonly unpackedBytes: number;
  /** Bytes of all layers after gzip, about what a registry keeps and a node downloads. */
  readonly compressedBytes: number;
}

export async function imageSizes(archive: string): Promise<ImageSizes> {
  let [unpackedBytes, compressedBytes] = [0, 0];
  await eachEntry(archive, async (name, body, size) => {
    if (!name.endsWith(".tar")) return body.resume();
    unpackedBytes += size;
    const count = new Writable({
      write(chunk: Buffer, _encoding, done) {
        compressedBytes += chunk.length;
        done();
      },
    });
    await pipeline(body, createGzip({ level: 6 }), count);
  });
  return { unpackedBytes, compressedBytes };
}

/** Bytes of all layers as tars. */
export async function unpackedBytes(archive: string): Promise<number> {
  let bytes = 0;
  await eachEntry(archive, (name, body, size) => {
    if (name.endsWith(".tar")) bytes += size;
    return Promise.resolve(body.resume());
  });
  return bytes;
}

/** Unpacks the layers over each other, as a container's root. Ours remove no file of their base, so whiteouts are refused. */
export async function unpackRoot(archive: string, layers: readonly string[], scratch: string): Promise<string> {
  const root = join(scratch, "root");
  await mkdir(root, { recursive: true });
  await eachEntry(archive, async (name, body) => {
    if (!layers.includes(name)) return body.resume();
    await pipeline(body, createWriteStream(join(scratch, `layer-${String(layers.indexOf(name))}.tar`)));
  });
  for (const at of layers.keys()) {
    const layer = join(scratch, `layer-${String(at)}.tar`);
    const names = await runTool("tar", ["--list", "--file", layer], {});
    if (/(^|\/)\.wh\./m.test(names))
      throw new Error(`layer ${String(at)} of ${archive} removes files of those below it`);
    await runTool("tar", ["--extract", "--file", layer, "--directory", root, "--numeric-owner"], {});
  }
  return root;
}

async function eachEntry(
  archive: string,
  visit: (name: string, body: Readable, size: number) => Promise<unknown>,
): Promise<void> {
  const entries = extract();
  const read = pipeline(createReadStream(archive), entries);
  read.catch(() => undefined); // a visitor's own error comes first
  for await (const entry of entries) {
    // links: buildah names a layer once more in the way of older archives
    if (entry.header.type === "file") await visit(entry.header.name, Readable.from(entry), entry.header.size);
    else entry.resume();
  }
  await read;
}
