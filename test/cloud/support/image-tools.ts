/** The tools that build images without a Docker engine: Debian's packages, unpacked into the cache; nothing is installed on the machine. */
import { existsSync, readFileSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type CacheEntry, keyOf, runTool } from "./cache-entry.ts";

/** buildah with its libraries and settings, mmdebstrap for bases, patchelf to make buildah find its libraries. */
const packages = [
  "buildah",
  "golang-github-containers-common",
  "golang-github-containers-image",
  "libassuan0",
  "libdevmapper1.02.1",
  "libgpg-error0",
  "libgpgme11",
  "libseccomp2",
  "mmdebstrap",
  "patchelf",
] as const;

/** One time for all that is made here: the same content gives the same bytes. 2026-01-01T00:00:00Z. */
export const sourceDateEpoch = 1_767_225_600;

/** @throws {Error} in one sentence, when the machine has no apt */
export function imageToolsEntry(cache: string): CacheEntry {
  const needed = ["/usr/bin/apt-get", "/usr/bin/dpkg-deb", "/usr/bin/perl"];
  if (!needed.every((path) => existsSync(path)))
    throw new Error(
      "building images here needs Debian or Ubuntu: there is no apt-get, dpkg-deb and perl on this machine",
    );
  const folder = `image-tools-${keyOf([...packages, readFileSync("/etc/os-release", "utf8"), process.arch])}`;
  return {
    folder,
    what: "downloading buildah and mmdebstrap (nothing is installed), under a minute",
    async make(into, scratch) {
      await unpackPackages(into, scratch);
      await bindLibraries(into, join(cache, folder));
    },
  };
}

async function unpackPackages(into: string, scratch: string): Promise<void> {
  const [state, archives] = [join(scratch, "apt-state"), join(scratch, "apt-archives")];
  await mkdir(join(state, "lists", "partial"), { recursive: true });
  await mkdir(archives, { recursive: true });
  const options = [
    `Dir::State=${state}`,
    "Dir::State::status=/var/lib/dpkg/status",
    `Dir::Cache=${join(scratch, "apt-cache")}`,
    "APT::Sandbox::User=root",
  ].flatMap((option) => ["-o", option]);
  await runTool("apt-get", ["update", "--quiet", ...options], {});
  await runTool("apt-get", ["download", "--quiet", ...options, ...packages], { cwd: archives });
  for (const name of await readdir(archives)) await runTool("dpkg-deb", ["-x", join(archives, name), into], {});
}

/**
 * Makes buildah find its libraries where they will lie. In its file, because it starts itself again with an environment of its own,
 * and as an absolute path, because it does so where /proc does not tell a program its own place.
 */
async function bindLibraries(unpacked: string, place: string): Promise<void> {
  const libraries = ["usr/lib", "lib"].map((folder) => join(place, folder, `${machine()}-linux-gnu`)).join(":");
  const patchelf = join(unpacked, "usr/bin/patchelf");
  await runTool(patchelf, ["--force-rpath", "--set-rpath", libraries, join(unpacked, "usr/bin/buildah")], {});
}

function machine(): string {
  return process.arch === "arm64" ? "aarch64" : "x86_64";
}

/** Runs mmdebstrap of the tools' folder. */
export async function mmdebstrap(tools: string, scratch: string, args: readonly string[]): Promise<void> {
  const env = {
    ...process.env,
    PATH: `${join(tools, "usr/bin")}:${process.env["PATH"] ?? ""}`,
    SOURCE_DATE_EPOCH: String(sourceDateEpoch),
    TMPDIR: scratch,
  };
  await runTool(join(tools, "usr/bin/mmdebstrap"), args, { env });
}

/** buildah on a storage of its own. It needs no daemon and no user namespace; steps run in a chroot, on the machine's network. */
export class Buildah {
  readonly #tools: string;
  readonly #storage: string;
  readonly #driver: string;

  private constructor(tools: string, storage: string, driver: string) {
    this.#tools = tools;
    this.#storage = storage;
    this.#driver = driver;
  }

  /** Layers are shared by overlay mounts; where the kernel or the file system refuses them, every layer is a whole copy. */
  static async open(tools: string, storage: string): Promise<Buildah> {
    await mkdir(storage, { recursive: true });
    const overlay = new Buildah(tools, storage, "overlay");
    return overlay.run(["info"]).then(
      () => overlay,
      () => new Buildah(tools, storage, "vfs"),
    );
  }

  /** Answers what it wrote to stdout; throws with its last lines. */
  run(args: readonly string[]): Promise<string> {
    const [root, runroot] = [join(this.#storage, this.#driver), join(this.#storage, `${this.#driver}-run`)];
    const storage = ["--root", root, "--runroot", runroot, "--storage-driver", this.#driver];
    const settings = { CONTAINERS_CONF: join(this.#tools, "usr/share/containers/containers.conf") };
    const registries = ["--registries-conf", "/dev/null"]; // nothing is ever pulled
    return runTool(join(this.#tools, "usr/bin/buildah"), [...storage, ...registries, ...args], {
      env: { ...process.env, ...settings, BUILDAH_ISOLATION: "chroot" },
    });
  }

  /** Builds a Dockerfile and tags what comes of it. */
  async build(dockerfile: string, context: string, tag: string, args: readonly string[] = []): Promise<void> {
    const same = ["--layers", "--timestamp", String(sourceDateEpoch), "--identity-label=false"];
    const offline = ["--pull=never", "--signature-policy", this.#policy];
    await this.run(["build", "--quiet", ...same, ...offline, ...args, "--file", dockerfile, "--tag", tag, context]);
  }

  /** Writes an image as a tar that `ctr images import`, `docker load` and `podman load` read. */
  async save(tag: string, file: string): Promise<void> {
    await this.run(["push", "--quiet", "--signature-policy", this.#policy, tag, `docker-archive:${file}:${tag}`]);
  }

  async has(tag: string): Promise<boolean> {
    const names = await this.run(["images", "--format", "{{.Name}}:{{.Tag}}"]);
    return names.split("\n").includes(tag);
  }

  get #policy(): string {
    return join(this.#tools, "etc/containers/policy.json");
  }
}
