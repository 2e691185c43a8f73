/** Pulumi's real engine on a stack of its own: state in a folder, no cloud, no network. */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parse, stringify } from "yaml";
import { LanguageHost } from "./pulumi-language-host.ts";
import type { RecordingProvider } from "./pulumi-provider.ts";
import { readEvents, type EngineRun } from "./pulumi-steps.ts";
import { ensureBinary } from "./servers-cache.ts";

const STACK = "dev";
const RUN_SECONDS = 180;

export interface StackOptions {
  /** Holds the project's `Pulumi.yaml`; the stack's configuration is written beside it, so it is a folder of the test's own. */
  readonly project: string;
  readonly provider: RecordingProvider;
  /** Such as `{"aws:region": "eu-west-1"}`. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Encrypted in the stack's configuration. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Path of the Node.js that runs the program; default: that of this test. */
  readonly node?: string;
}

/**
 * Owns the folder of the state, and a language host while it lives.
 *
 *     const stack = await PulumiStack.create({ project, provider });
 *     expect(changesOf(await stack.preview())).toEqual({ "Queue lane-0": "create" });
 *     await stack.up();
 *     await stack.remove();
 */
export class PulumiStack {
  readonly #pulumi: string;
  readonly #folder: string;
  readonly #project: string;
  readonly #languageHost: LanguageHost;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #running = new Set<ChildProcess>();
  #runs = 0;

  private constructor(
    pulumi: string,
    folder: string,
    project: string,
    host: LanguageHost,
    environment: NodeJS.ProcessEnv,
  ) {
    this.#pulumi = pulumi;
    this.#folder = folder;
    this.#project = project;
    this.#languageHost = host;
    this.#environment = environment;
  }

  static async create(options: StackOptions): Promise<PulumiStack> {
    const { project, provider, config = {}, secrets = {}, node = process.execPath } = options;
    const pulumi = await ensureBinary("pulumi");
    const folder = await mkdtemp(join(tmpdir(), "millrace-pulumi-"));
    await mkdir(join(folder, "state"));
    const base = { PATH: `${dirname(node)}:${process.env["PATH"] ?? ""}`, HOME: folder, TMPDIR: folder };
    const host = await LanguageHost.start(node, base);
    const environment = {
      ...base,
      ...provider.environment,
      ...host.environment,
      PULUMI_HOME: join(folder, "home"),
      PULUMI_BACKEND_URL: `file://${join(folder, "state")}`,
      PULUMI_CONFIG_PASSPHRASE: "correct horse",
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
      PULUMI_DEBUG_COMMANDS: "true", // --event-log is one of these
    };
    const stack = new PulumiStack(pulumi, folder, project, host, environment);
    try {
      await stack.configure(config);
      await stack.#must(["stack", "init", STACK]);
      for (const [key, value] of Object.entries(secrets)) await stack.#must(["config", "set", "--secret", key, value]);
      return stack;
    } catch (error) {
      await stack.remove();
      throw error;
    }
  }

  preview(): Promise<EngineRun> {
    return this.#run("preview", []);
  }

  up(): Promise<EngineRun> {
    return this.#run("up", ["--yes", "--skip-preview"]);
  }

  refresh(): Promise<EngineRun> {
    return this.#run("refresh", ["--yes", "--skip-preview"]);
  }

  destroy(): Promise<EngineRun> {
    return this.#run("destroy", ["--yes", "--skip-preview"]);
  }

  /** The stack's outputs, secrets in clear. */
  async outputs(): Promise<Readonly<Record<string, unknown>>> {
    const text = await this.#must(["stack", "output", "--json", "--show-secrets"]);
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  }

  /** The text of the state file, as whoever finds the backend reads it. */
  async stateText(): Promise<string> {
    const name = /^name: *(\S+)/m.exec(await readFile(join(this.#project, "Pulumi.yaml"), "utf8"))?.[1] ?? "";
    return readFile(join(this.#folder, "state", ".pulumi", "stacks", name, `${STACK}.json`), "utf8");
  }

  /** Replaces the stack's configuration, apart from its secrets. */
  async configure(config: Readonly<Record<string, unknown>>): Promise<void> {
    const path = join(this.#project, `Pulumi.${STACK}.yaml`);
    const kept = existsSync(path) ? ((await readConfig(path)) ?? {}) : {};
    const secrets = Object.entries(kept.config ?? {}).filter(([, value]) => isSecret(value));
    await writeFile(path, stringify({ ...kept, config: { ...Object.fromEntries(secrets), ...config } }));
  }

  /** Leaves nothing: no process, no folder but the project's. What still runs fails. */
  async remove(): Promise<void> {
    for (const child of this.#running) child.kill("SIGKILL");
    this.#languageHost.stop();
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  async #run(command: string, flags: readonly string[]): Promise<EngineRun> {
    this.#runs += 1;
    const log = join(this.#folder, `events-${String(this.#runs)}.json`);
    const args = [command, "--stack", STACK, "--event-log", log, ...flags];
    const { code, text } = await this.#spawn(args);
    const events = existsSync(log) ? await readFile(log, "utf8") : "";
    return { succeeded: code === 0, text, ...readEvents(events) };
  }

  async #must(args: readonly string[]): Promise<string> {
    const { code, text } = await this.#spawn(args);
    if (code !== 0) throw new Error(`pulumi ${args.slice(0, 2).join(" ")} failed:\n${text}`);
    return text;
  }

  #spawn(args: readonly string[]): Promise<{ readonly code: number; readonly text: string }> {
    const all = [...args, "--non-interactive", "--color", "never", "--cwd", this.#project];
    const child = spawn("setpriv", ["--pdeathsig", "KILL", this.#pulumi, ...all], {
      stdio: ["ignore", "pipe", "pipe"],
      env: this.#environment,
    });
    this.#running.add(child);
    let text = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (t: string) => (text += t));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        reject(new Error(`pulumi ${args[0] ?? ""} took more than ${String(RUN_SECONDS)} s\n${text}`));
      }, RUN_SECONDS * 1000);
      child.once("error", reject);
      child.once("close", (code) => {
        clearTimeout(timer);
        this.#running.delete(child);
        resolve({ code: code ?? 1, text });
      });
    });
  }
}

interface StackSettings {
  readonly config?: Readonly<Record<string, unknown>>;
}

async function readConfig(path: string): Promise<StackSettings | null> {
  return parse(await readFile(path, "utf8")) as StackSettings | null;
}

function isSecret(value: unknown): boolean {
  return typeof value === "object" && value !== null && "secure" in value;
}
