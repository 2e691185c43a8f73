/** Runs Node.js programs for Pulumi's engine, as `pulumi-language-nodejs` would: that one is no part of the SDK's npm package. */
import { spawn, type ChildProcess } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import EngineService from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import Engine from "@pulumi/pulumi/proto/engine_pb.js";
import LanguageService from "@pulumi/pulumi/proto/language_grpc_pb.js";
import Language from "@pulumi/pulumi/proto/language_pb.js";
import Plugin from "@pulumi/pulumi/proto/plugin_pb.js";
import { emptyMessage, fromStruct, serve, toEngine, unary, type RunningServer } from "./pulumi-grpc.ts";

/** With this exit code the SDK has already told the engine what is wrong. */
const ALREADY_TOLD = 32;

/**
 * Owns a gRPC server in this process, and the program while it runs. Of the project's `runtime.options` it heeds `typescript`
 * and `nodeargs`.
 */
export class LanguageHost {
  readonly #node: string;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #running = new Set<ChildProcess>();
  #server: RunningServer | undefined;
  #engineAddress = "";

  private constructor(node: string, environment: NodeJS.ProcessEnv) {
    this.#node = node;
    this.#environment = environment;
  }

  /**
   * @param node path of the Node.js that runs programs
   * @param environment all that a program sees of this process's environment
   */
  static async start(node: string, environment: NodeJS.ProcessEnv): Promise<LanguageHost> {
    const host = new LanguageHost(node, environment);
    host.#server = await serve(LanguageService.LanguageRuntimeService, host.#handlers());
    return host;
  }

  /** What makes an engine take it for its Node.js. */
  get environment(): Readonly<Record<string, string>> {
    return { PULUMI_DEBUG_LANGUAGES: `nodejs:${String(this.#server?.port)}` };
  }

  /** A program that still runs, because its engine was killed, is killed as well. */
  stop(): void {
    for (const child of this.#running) child.kill("SIGKILL");
    this.#server?.stop();
  }

  #handlers(): Partial<LanguageService.ILanguageRuntimeServer> {
    return {
      handshake: unary((request: Language.LanguageHandshakeRequest) => {
        this.#engineAddress = request.getEngineAddress();
        return new Language.LanguageHandshakeResponse();
      }),
      // the providers are there: none is to be looked for in node_modules, and none downloaded
      getRequiredPackages: unary((_request: object) => new Language.GetRequiredPackagesResponse()),
      getRequiredPlugins: unary((_request: object) => new Language.GetRequiredPluginsResponse()),
      getProgramDependencies: unary((_request: object) => new Language.GetProgramDependenciesResponse()),
      runtimeOptionsPrompts: unary((_request: object) => new Language.RuntimeOptionsResponse()),
      getPluginInfo: unary((_request: object) => new Plugin.PluginInfo().setVersion("3.270.0")),
      about: unary((_request: object) => new Language.AboutResponse().setExecutable(this.#node)),
      cancel: unary((_request: object) => emptyMessage()),
      run: unary((request: Language.RunRequest) => this.#run(request)),
    };
  }

  async #run(request: Language.RunRequest): Promise<Language.RunResponse> {
    const directory = request.getInfo()?.getProgramDirectory() ?? request.getPwd();
    const options = fromStruct(request.getInfo()?.getOptions());
    // --pdeathsig: nothing runs on when this process is killed
    const child = spawn("setpriv", ["--pdeathsig", "KILL", this.#node, ...this.#argumentsFor(request, options)], {
      cwd: directory,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...this.#environment,
        PULUMI_CONFIG: JSON.stringify(Object.fromEntries(request.getConfigMap().getEntryList())),
        PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(request.getConfigsecretkeysList()),
        PULUMI_NODEJS_TYPESCRIPT: String(options["typescript"] !== false),
      },
    });
    this.#running.add(child);
    const said = new ProgramOutput(this.#engineAddress);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => said.add(text));
    }
    const end = await new Promise<number | string>((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("close", (code, signal) => resolve(code ?? signal ?? "no exit code"));
    });
    this.#running.delete(child);
    await said.tell();
    const answer = new Language.RunResponse();
    if (end === 0) return answer;
    return end === ALREADY_TOLD ? answer.setBail(true) : answer.setError(`program exited with ${String(end)}`);
  }

  #argumentsFor(request: Language.RunRequest, options: ReturnType<typeof fromStruct>): string[] {
    const info = request.getInfo();
    const root = info?.getRootDirectory() ?? request.getPwd();
    const runner = createRequire(join(root, "package.json")).resolve("@pulumi/pulumi/cmd/run/index.js");
    const named = {
      monitor: request.getMonitorAddress(),
      engine: this.#engineAddress,
      organization: request.getOrganization(),
      project: request.getProject(),
      "root-directory": root,
      stack: request.getStack(),
      pwd: info?.getProgramDirectory() ?? "",
      parallel: String(request.getParallel()),
    };
    const nodeArguments = typeof options["nodeargs"] === "string" ? options["nodeargs"].split(/\s+/) : [];
    return [
      ...[...nodeArguments, runner],
      ...Object.entries(named).flatMap(([name, value]) => (value === "" ? [] : [`--${name}`, value])),
      ...(request.getDryrun() ? ["--dry-run"] : []),
      ...[info === undefined ? "." : info.getEntryPoint(), ...request.getArgsList()],
    ];
  }
}

/** What a program says on its own, such as Node's complaint about a module; the user sees it with the engine's messages. */
class ProgramOutput {
  readonly #engineAddress: string;
  #text = "";

  constructor(engineAddress: string) {
    this.#engineAddress = engineAddress;
  }

  add(text: string): void {
    this.#text += text;
  }

  async tell(): Promise<void> {
    if (this.#text === "") return;
    const engine = new EngineService.EngineClient(this.#engineAddress, toEngine());
    const message = new Engine.LogRequest().setSeverity(Engine.LogSeverity.INFO).setMessage(this.#text);
    await new Promise<void>((resolve, reject) => {
      engine.log(message, (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    }).finally(() => engine.close());
  }
}
