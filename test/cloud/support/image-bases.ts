/** Stand-ins for the public base images, made of Debian's and npm's packages: the images under test stand on them. */
import { copyFile, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type CacheEntry, keyOf, runTool } from "./cache-entry.ts";
import { mmdebstrap, sourceDateEpoch, type Buildah } from "./image-tools.ts";

export const baseNames = ["debian", "python", "node"] as const;
export type BaseName = (typeof baseNames)[number];

/** What `debian:bookworm-slim` has that matters here, and tini, so that no step of a Dockerfile needs Debian's servers. */
const debianPackages = ["ca-certificates", "libstdc++6", "tini"];
const pythonPackages = [...debianPackages, "python3", "python3-venv"];
/** The npm that comes with the images of Node. */
const npm = "npm@11.19.1";
/** As in Debian's own slim images: no manuals, no translations, licences kept. The host's name and resolver are nobody's business. */
const slim = [
  "--mode=root",
  "--variant=apt",
  "--dpkgopt=force-unsafe-io",
  "--dpkgopt=path-exclude=/usr/share/doc/*",
  "--dpkgopt=path-include=/usr/share/doc/*/copyright",
  "--dpkgopt=path-exclude=/usr/share/man/*",
  "--dpkgopt=path-exclude=/usr/share/locale/*",
  '--customize-hook=rm -f "$1"/etc/hostname "$1"/etc/resolv.conf',
];

const dockerfiles: Readonly<Record<BaseName, string>> = {
  debian: 'FROM scratch\nADD debian.tar /\nCMD ["bash"]\n',
  python: 'FROM scratch\nADD python.tar /\nCMD ["python3"]\n',
  node: 'FROM localhost/millrace-base/debian:bookworm\nCOPY node/usr/local /usr/local\nCMD ["node"]\n',
};

/** The folder of the bases' contents; its key names all that they depend on but Debian's point releases. */
export function imageBasesEntry(tools: string): CacheEntry {
  const inputs = [...pythonPackages, npm, process.version, process.arch, ...slim, String(sourceDateEpoch)];
  return {
    folder: `image-bases-${keyOf([...inputs, ...Object.values(dockerfiles)])}`,
    what: "making base images of Debian bookworm, about two minutes",
    async make(into, scratch) {
      const bootstrap = async (name: BaseName, include: readonly string[]): Promise<void> => {
        const chroots = join(scratch, `chroot-${name}`);
        await mkdir(chroots);
        const target = join(into, `${name}.tar`);
        await mmdebstrap(tools, chroots, [...slim, `--include=${include.join(",")}`, "bookworm", target]);
      };
      await Promise.all([
        bootstrap("debian", debianPackages),
        bootstrap("python", pythonPackages),
        installNode(join(into, "node/usr/local"), scratch),
      ]);
      for (const name of baseNames) await writeFile(join(into, `${name}.Dockerfile`), dockerfiles[name]);
    },
  };
}

/** As the public images of Node have it: the Node that runs this very script, which is the one of `package.json`, and an npm. */
async function installNode(prefix: string, scratch: string): Promise<void> {
  await mkdir(join(prefix, "bin"), { recursive: true });
  const cache = join(scratch, "npm-cache");
  const quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
  await runTool("npm", ["install", "--global", "--prefix", prefix, "--cache", cache, ...quiet, npm], {});
  await rm(join(prefix, "lib/node_modules/.package-lock.json"), { force: true }); // names the registry
  await copyFile(process.execPath, join(prefix, "bin/node"));
}

export function baseTag(name: BaseName): string {
  return `localhost/millrace-base/${name}:bookworm`;
}

/** Puts the bases into buildah's storage, where they are not yet there. */
export async function loadBases(buildah: Buildah, bases: string): Promise<void> {
  for (const name of baseNames) {
    if (await buildah.has(baseTag(name))) continue;
    await buildah.build(join(bases, `${name}.Dockerfile`), bases, baseTag(name));
  }
}
