// npm run images: builds the images of the service and the worker as tars in the cache, and prints their names and sizes.
import { imageSizes, readImage } from "./support/image-archive.ts";
import { ensureImages, imageNames } from "./support/images.ts";

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;

try {
  const startedAt = performance.now();
  const images = await ensureImages();
  process.stdout.write(`ready in ${((performance.now() - startedAt) / 1000).toFixed(1)} s\n`);
  for (const name of imageNames) {
    const { tag, archive } = images[name];
    const { id } = await readImage(archive);
    const { unpackedBytes, compressedBytes } = await imageSizes(archive);
    const sizes = `${megabytes(unpackedBytes)} unpacked, ${megabytes(compressedBytes)} compressed`;
    process.stdout.write(`${tag}\n  sha256:${id}\n  ${sizes}\n  ${archive}\n`);
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
