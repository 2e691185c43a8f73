import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WORKER_EXIT } from "../../services/protocol/exit-codes.ts";
import { readImage, unpackedBytes, unpackRoot, type ReadImage } from "./support/image-archive.ts";
import { ensureImages, imageNames, type ImageName } from "./support/images.ts";
import { ensureDebianRoot } from "./support/servers-cache.ts";

/** Measured on 2026-11-22, and a tenth more. */
const unpackedBytesMax = { service: 347e6, worker: 396e6 } as const satisfies Record<ImageName, number>;
const buildSeconds = 1800;

interface Unpacked extends ReadImage {
  readonly root: string;
  readonly bytes: number;
}

let scratch: string;
const images = new Map<ImageName, Unpacked>();

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "millrace-images-"));
  const built = await ensureImages();
  for (const name of imageNames) {
    const { archive } = built[name];
    const image = await readImage(archive);
    const folder = join(scratch, name);
    await mkdir(folder);
    const root = await unpackRoot(archive, image.layers, folder);
    images.set(name, { ...image, root, bytes: await unpackedBytes(archive) });
  }
}, buildSeconds * 1000);

afterAll(async () => {
  await rm(scratch, { recursive: true, force: true });
});

function image(name: ImageName): Unpacked {
  const found = images.get(name);
  if (found === undefined) throw new Error(`there is no image of the ${name}`);
  return found;
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the image with a read-only root, no capabilities, and a `/tmp` as the only place to write, as a pod would. */
async function runImage(name: ImageName, args: readonly string[] = image(name).config.Entrypoint): Promise<Ended> {
  const runc = join(await ensureDebianRoot(), "usr/sbin/runc");
  const bundle = await mkdtemp(join(scratch, "bundle-"));
  const { config, root } = image(name);
  const [uid = 0, gid = 0] = config.User.split(":").map(Number);
  const mounts = [
    { destination: "/proc", type: "proc", source: "proc" },
    { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
    { destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "mode=1777"] },
  ];
  const spec = {
    ociVersion: "1.0.2",
    process: { user: { uid, gid }, args, env: config.Env, cwd: config.WorkingDir, noNewPrivileges: true },
    root: { path: root, readonly: true },
    mounts,
    linux: { namespaces: ["pid", "mount", "ipc", "uts", "network"].map((type) => ({ type })) },
  };
  await writeFile(join(bundle, "config.json"), JSON.stringify(spec));
  const child = spawn(runc, ["--root", join(scratch, "runc"), "run", "--bundle", bundle, basename(bundle)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      resolve({ code, stdout, stderr });
    });
  });
}

describe.each(imageNames)("the image of the %s", (name) => {
  it("holds the packages of production alone, and none of Pulumi", () => {
    const lock = JSON.parse(readFileSync("package-lock.json", "utf8")) as { packages: Record<string, { dev?: true }> };
    const development = Object.entries(lock.packages).filter(([path, { dev }]) => path !== "" && dev === true);
    const folder = join(image(name).root, "opt/millrace");

    expect(development.length).toBeGreaterThan(50);
    expect(development.map(([path]) => path).filter((path) => existsSync(join(folder, path)))).toEqual([]);
    expect(existsSync(join(folder, "node_modules/@aws-sdk/client-s3/package.json"))).toBe(true);
    expect(existsSync(join(folder, "node_modules/@pulumi"))).toBe(false);
  });

  it("names no registry and no machine that it was built on", () => {
    const names = readdirSync(image(name).root, { recursive: true, encoding: "utf8" }).map((path) => basename(path));

    expect(names.filter((found) => found === ".npmrc" || found === ".package-lock.json")).toEqual([]);
    expect(existsSync(join(image(name).root, "etc/resolv.conf"))).toBe(false);
    expect(existsSync(join(image(name).root, "run/secrets"))).toBe(false);
  });

  it("runs as nobody in particular, by number, so that Kubernetes can tell that it is not root", () => {
    expect(image(name).config).toMatchObject({ User: "65532:65532", StopSignal: "SIGTERM" });
  });

  it("runs on the Node that package.json names", async () => {
    const asked = JSON.parse(readFileSync("package.json", "utf8")) as { dependencies: { node: string } };

    expect(await runImage(name, ["/opt/millrace/bin/node", "--version"])).toMatchObject({
      code: 0,
      stdout: `v${asked.dependencies.node}\n`,
    });
  });

  it("is not larger than it was", () => {
    expect(image(name).bytes).toBeLessThan(unpackedBytesMax[name]);
  });
});

describe("a worker's container with a read-only root", () => {
  it("that is told nothing exits 64 with all faults named", async () => {
    const { code, stderr } = await runImage("worker");

    expect(stderr).toContain("MILLRACE_API");
    expect(stderr).toContain("MILLRACE_JOB");
    expect(code).toBe(WORKER_EXIT.misconfigured);
  });

  it("keeps no zombie of a process that a handler left behind", async () => {
    const code = `
      const { spawnSync } = require("node:child_process"), fs = require("node:fs");
      spawnSync("sh", ["-c", "sleep 0.2 & exit 0"]);
      const states = () => fs.readdirSync("/proc").filter(Number).map((pid) => {
        try { return fs.readFileSync("/proc/" + pid + "/stat", "utf8"); } catch { return ""; } });
      const left = () => states().filter((stat) => stat.includes("(sleep)"));
      const until = Date.now() + 5000;
      const look = () => left().length === 0 || Date.now() > until ? console.log(left().length) : setTimeout(look, 50);
      look();`;
    const [tini = "", dashes = "", node = ""] = image("worker").config.Entrypoint;

    expect(await runImage("worker", [tini, dashes, node, "-e", code])).toMatchObject({ code: 0, stdout: "0\n" });
    // the same without an init: the zombie stays, which is why there is one
    expect(await runImage("worker", [node, "-e", code])).toMatchObject({ code: 0, stdout: "1\n" });
  });
});
