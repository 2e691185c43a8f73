import { existsSync, readdirSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { type CacheEntry, keyOf, runTool } from "./cache-entry.ts";

const serversFolder = join(import.meta.dirname, "..", "servers");
/** Where Go's own installer puts it, often without a word in PATH. */
const goInstalledAt = "/usr/local/go/bin";
/** The version that the `go` lines of `test/cloud/servers/` ask for. */
const goOldest = [1, 25] as const;

/** What `kubectl version` and the API server say of themselves; Kubernetes' own build stamps it in the same way. */
const kubernetesVersion = { gitVersion: "v1.34.4", gitMajor: "1", gitMinor: "34" };
const stampedPackages = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"];
const stamps = {
  ...kubernetesVersion,
  gitCommit: "local",
  gitTreeState: "clean",
  buildDate: "2026-01-01T00:00:00Z",
};

/** What `pulumi version` says; the engine tells it to programs and to its state files. */
const pulumiStamp = "-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v3.200.0";

/** The programs, quick ones first: what is built of each folder of `test/cloud/servers/`. */
const programs = {
  pause: { package: ".", takes: "some seconds", linkerFlags: [] },
  etcd: { package: ".", takes: "about two minutes", linkerFlags: [] },
  versitygw: {
    package: "github.com/versity/versitygw/cmd/versitygw",
    takes: "about three minutes",
    linkerFlags: [],
  },
  pulumi: {
    package: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    takes: "4 to 7 minutes",
    linkerFlags: [pulumiStamp],
  },
  kubernetes: {
    package: ".",
    takes: "6 to 15 minutes and 3 GB of disk meanwhile",
    linkerFlags: stampedPackages.flatMap((at) => Object.entries(stamps).map(([name, to]) => `-X ${at}.${name}=${to}`)),
  },
} as const satisfies Record<string, { package: string; takes: string; linkerFlags: readonly string[] }>;

export type BinaryName = keyof typeof programs;
export const binaryNames = Object.keys(programs) as readonly BinaryName[];

export interface GoToolchain {
  /** The path of `go`. */
  readonly go: string;
  /** Such as `go1.26.8 linux/amd64`. */
  readonly version: string;
}

/**
 * @param installedAt where to look beside PATH
 * @throws {Error} in one sentence, when the machine has no Go or one that is too old
 */
export async function goToolchain(
  environment: NodeJS.ProcessEnv,
  installedAt: string = goInstalledAt,
): Promise<GoToolchain> {
  const folders = [...(environment["PATH"] ?? "").split(delimiter), installedAt].filter((folder) => folder !== "");
  const go = folders.map((folder) => join(folder, "go")).find((path) => existsSync(path));
  const wanted = `npm run test:cloud needs Go ${goOldest.join(".")} or newer, on PATH or in ${installedAt}`;
  if (go === undefined) throw new Error(`${wanted}: there is none.`);
  const said = await runTool(go, ["env", "GOVERSION", "GOOS", "GOARCH"], {
    env: { ...environment, GOTOOLCHAIN: "local" },
  });
  const [version = "", system = "", machine = ""] = said.trim().split("\n");
  if (tooOld(version)) throw new Error(`${wanted}: ${go} is ${version}.`);
  return { go, version: `${version} ${system}/${machine}` };
}

function tooOld(goVersion: string): boolean {
  const [, major = "0", minor = "0"] = /^go(\d+)\.(\d+)/.exec(goVersion) ?? [];
  return Number(major) < goOldest[0] || (Number(major) === goOldest[0] && Number(minor) < goOldest[1]);
}

export function goEntry(name: BinaryName, toolchain: GoToolchain): CacheEntry {
  const program = programs[name];
  const source = join(serversFolder, name);
  const flags = ["-trimpath", "-ldflags", ["-s", "-w", ...program.linkerFlags].join(" ")];
  return {
    folder: `${name}-${keyOf([toolchain.version, program.package, ...flags, ...contentsOf(source)])}`,
    what: `building ${name} with ${toolchain.version}, ${program.takes}`,
    maker: "go", // what one program compiles is there for the next
    async make(into, scratch) {
      await runTool(toolchain.go, ["build", ...flags, "-o", join(into, name), program.package], {
        cwd: source,
        // caches of its own, removed afterwards: Go would keep gigabytes of them
        env: {
          ...process.env,
          GOMODCACHE: join(scratch, "go-modules"),
          GOCACHE: join(scratch, "go-build"),
          GOTMPDIR: scratch,
          GOFLAGS: "-buildvcs=false -modcacherw",
          GOTOOLCHAIN: "local",
          GOWORK: "off",
          CGO_ENABLED: "0",
        },
      });
    },
  };
}

/** Names and contents of the files of a folder that has no folders. */
function contentsOf(folder: string): string[] {
  return readdirSync(folder)
    .sort()
    .flatMap((name) => [name, readFileSync(join(folder, name), "utf8")]);
}
