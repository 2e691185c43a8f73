/** What pip prints, told in sentences: progress while it works, and the cause when it failed. */

const TAIL_LINES = 15;
const PACKAGES_NAMED = 12;
const VERSIONS_NAMED = 5;

const UNREACHABLE =
  /Retrying \(Retry\(|Max retries exceeded|NewConnectionError|ProxyError|Name or service not known|name resolution/;

/** Hears an installer's lines. */
export class PipOutput {
  readonly #progress: (sentence: string) => void;
  readonly #versions = new Map<string, string>();
  readonly #lines: string[] = [];
  #unreachable = false;
  /** Packages that were installed. */
  packages = 0;

  constructor(progress: (sentence: string) => void) {
    this.#progress = progress;
  }

  hear(line: string): void {
    const plain = maskCredentials(line.trimEnd());
    if (plain === "") return;
    this.#lines.push(plain);
    if (this.#lines.length > 200) this.#lines.shift();
    this.#unreachable ||= UNREACHABLE.test(plain);
    const fetched =
      /(Downloading|Using cached|Processing) (?:\S*\/)?([A-Za-z0-9_.]+)-(\d[^-\s]*?)(?:-\S*\.whl|\.tar\.gz|\.zip)( \(.*\))?$/.exec(
        plain,
      );
    if (fetched !== null) this.#fetched(fetched[1] ?? "", fetched[2] ?? "", fetched[3] ?? "", fetched[4] ?? "");
    const installing = /^Installing collected packages: (.*)$/.exec(plain);
    if (installing !== null) this.#installing((installing[1] ?? "").split(", "));
  }

  #fetched(verb: string, name: string, version: string, size: string): void {
    this.#versions.set(canonical(name), version);
    if (verb === "Downloading") this.#progress(`downloading ${name.replaceAll("_", "-")} ${version}${size}`);
  }

  #installing(names: readonly string[]): void {
    this.packages = names.length;
    const named = names.map((name) => `${name} ${this.#versions.get(canonical(name)) ?? ""}`.trim()).reverse();
    const shown = named.slice(0, PACKAGES_NAMED).join(", ");
    const more = named.length > PACKAGES_NAMED ? `, and ${String(named.length - PACKAGES_NAMED)} more` : "";
    const noun = names.length === 1 ? "package" : "packages";
    this.#progress(`installing ${String(names.length)} ${noun}: ${shown}${more}`);
  }

  /** The last lines, credentials masked. */
  tail(): string {
    return this.#lines.slice(-TAIL_LINES).join("\n");
  }

  /** Why pip failed, in a sentence that names the requirement and the fix. */
  cause(file: string, pythonVersion: string): string {
    const text = this.#lines.join("\n");
    for (const [pattern, say] of CAUSES) {
      const match = pattern.exec(text);
      if (match === null) continue;
      const [, first = "", second = ""] = match;
      if (this.#unreachable && pattern.source.includes("satisfies")) return unreachable(file, first);
      return `${file}: ${say(first, second, pythonVersion)}`;
    }
    if (this.#unreachable) return unreachable(file, "the requirements");
    return `${file}: pip could not install it; its last lines say why.`;
  }
}

type Say = (first: string, second: string, pythonVersion: string) => string;

/** In this order: the most telling first. */
const CAUSES: readonly (readonly [RegExp, Say])[] = [
  [/No space left on device/, () => "the disk is full; free some space and deploy again."],
  [
    /satisfies the requirement (.+?) \(from versions: (.*?)\)/,
    (requirement, versions, python) =>
      versions === "none"
        ? `found ${requirement}, which the package index does not have for Python ${python}; check its name.`
        : `found ${requirement}, which does not exist for Python ${python}; there are ${lastOf(versions)}.`,
  ],
  [
    /No matching distribution found for (.+)/,
    (requirement) => `found ${requirement}, which does not exist; check its name and version.`,
  ],
  [
    /Invalid requirement: (.+?)(?: \(from line.*)?(?:\n|$)/,
    (requirement) => `found ${requirement}, which is no requirement; write name==version.`,
  ],
  [
    /Could not open requirements file: .*?'([^']*)'/,
    (path) => `it names ${path}, which is not among the project's files.`,
  ],
  [
    /Cannot install (.+?) because these package versions have conflict/,
    (requirements) => `${requirements} exclude each other; loosen one of their versions.`,
  ],
  [
    /Failed (?:building wheel for|to build installable wheels for .*?\()\s*'?([^\s')]+)/,
    (requirement) =>
      `${requirement} could not be built from its sources; its last lines say why. A version with a wheel needs no build.`,
  ],
  [/Failed to build '?([^\s']+)/, (requirement) => `${requirement} could not be built; its last lines say why.`],
];

function unreachable(file: string, requirement: string): string {
  return `${file}: the package index did not answer for ${requirement}; check the network, a proxy, or pip's index-url.`;
}

function lastOf(versions: string): string {
  const all = versions.split(", ");
  const shown = all.slice(-VERSIONS_NAMED).join(", ");
  return all.length > VERSIONS_NAMED ? `${shown} and ${String(all.length - VERSIONS_NAMED)} older ones` : shown;
}

function canonical(name: string): string {
  return name.toLowerCase().replaceAll(/[-_.]+/g, "-");
}

/** Index addresses and git addresses may hold a password or a token. */
export function maskCredentials(line: string): string {
  return line.replaceAll(/(\w+:\/\/)[^\s/@]+@/g, "$1****@");
}
