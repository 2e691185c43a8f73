/** A provider that makes nothing and writes down what it was asked for: the engine's AWS, EKS, Kubernetes and image builder in tests. */
import { randomBytes } from "node:crypto";
import ProviderService from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import Provider from "@pulumi/pulumi/proto/provider_pb.js";
import Plugin from "@pulumi/pulumi/proto/plugin_pb.js";
import { answerTo } from "../../components/support/computed-outputs.ts";
import { CLUSTER_COMPONENT, constructCluster } from "./pulumi-cluster-construct.ts";
import { diffOf } from "./pulumi-diff.ts";
import { emptyMessage, fromStruct, serve, toStruct, unary, type RunningServer } from "./pulumi-grpc.ts";
import { madeOf, previewOfMaking, updated } from "./pulumi-outputs.ts";
import { AUTONAMED_ANNOTATION, factsOf } from "./pulumi-resource-facts.ts";
import { differences, plainProperties, textAt, type Properties } from "./pulumi-values.ts";

const PROVIDERS = ["aws", "docker-build", "eks", "kubernetes"];
const ANY_VERSION = "99.0.0";

/** What the engine asked of the provider. A preview asks for creates and updates as well. */
export interface Recorded {
  readonly act: "create" | "update" | "delete" | "read" | "construct" | "invoke";
  /** Of the resource; of an invoke its token. */
  readonly type: string;
  /** The resource's name in the program; "" for an invoke. */
  readonly name: string;
  readonly preview: boolean;
  /** Secrets in clear, unknown values as `UNKNOWN`. */
  readonly inputs: Properties;
}

/** Where resources of some types really live. What it throws is what the engine tells its user. */
export interface Backing {
  holds(type: string): boolean;
  /** Makes it; at a preview only asks whether it could be. */
  create(inputs: Properties, preview: boolean): Promise<{ readonly id: string; readonly outputs: Properties }>;
  update(id: string, inputs: Properties, preview: boolean): Promise<Properties>;
  /** As it is now; undefined when it is gone. */
  read(id: string, inputs: Properties, outputs: Properties): Promise<ReadState | undefined>;
  delete(id: string, inputs: Properties): Promise<void>;
}

export interface ReadState {
  readonly inputs: Properties;
  readonly outputs: Properties;
}

interface Identified {
  getUrn(): string;
}

/**
 * Owns a gRPC server in this process, which stands for all providers of a stack.
 *
 *     const provider = await RecordingProvider.start();
 *     const stack = await PulumiStack.create({ program, provider });
 *     provider.stop();
 */
export class RecordingProvider {
  readonly #backing: Backing | undefined;
  readonly #recorded: Recorded[] = [];
  #server: RunningServer | undefined;

  private constructor(backing: Backing | undefined) {
    this.#backing = backing;
  }

  static async start(options: { readonly backing?: Backing } = {}): Promise<RecordingProvider> {
    const provider = new RecordingProvider(options.backing);
    provider.#server = await serve(ProviderService.ResourceProviderService, provider.#handlers());
    return provider;
  }

  /** What makes an engine take it for its providers. */
  get environment(): Readonly<Record<string, string>> {
    const port = String(this.#server?.port);
    return { PULUMI_DEBUG_PROVIDERS: PROVIDERS.map((name) => `${name}:${port}`).join(",") };
  }

  /** All since the last call, in the order of arrival. */
  take(): readonly Recorded[] {
    return this.#recorded.splice(0);
  }

  stop(): void {
    this.#server?.stop();
  }

  #handlers(): Partial<ProviderService.IResourceProviderServer> {
    return {
      ...greetings,
      check: unary((request: Provider.CheckRequest) => check(request)),
      diff: unary((request: Provider.DiffRequest) => {
        const type = typeOf(request);
        return diffOf(type, oldInputsOf(request), fromStruct(request.getNews()), request.getIgnorechangesList());
      }),
      create: unary((request: Provider.CreateRequest) => this.#create(request)),
      update: unary((request: Provider.UpdateRequest) => this.#update(request)),
      read: unary((request: Provider.ReadRequest) => this.#read(request)),
      delete: unary((request: Provider.DeleteRequest) => this.#delete(request)),
      invoke: unary((request: Provider.InvokeRequest) => this.#invoke(request)),
      construct: unary((request: Provider.ConstructRequest) => this.#construct(request)),
    };
  }

  async #create(request: Provider.CreateRequest): Promise<Provider.CreateResponse> {
    const [type, name, preview] = [typeOf(request), nameOf(request), request.getPreview()];
    const inputs = fromStruct(request.getProperties());
    this.#record({ act: "create", type, name, preview, inputs });
    const answer = new Provider.CreateResponse();
    const backing = this.#backingOf(type);
    if (backing !== undefined) {
      const { id, outputs } = await backing.create(inputs, preview);
      return answer.setId(preview ? "" : id).setProperties(toStruct(outputs));
    }
    if (preview) return answer.setProperties(toStruct(previewOfMaking({ type, name, inputs })));
    const { id, outputs } = madeOf({ type, name, inputs }, randomBytes(4).toString("hex"));
    return answer.setId(id).setProperties(toStruct(outputs));
  }

  async #update(request: Provider.UpdateRequest): Promise<Provider.UpdateResponse> {
    const [type, preview] = [typeOf(request), request.getPreview()];
    const inputs = fromStruct(request.getNews());
    this.#record({ act: "update", type, name: nameOf(request), preview, inputs });
    const before = { inputs: oldInputsOf(request), outputs: fromStruct(request.getOlds()) };
    const outputs =
      (await this.#backingOf(type)?.update(request.getId(), inputs, preview)) ??
      updated(knownFacts(type), before, inputs, preview);
    return new Provider.UpdateResponse().setProperties(toStruct(outputs));
  }

  async #read(request: Provider.ReadRequest): Promise<Provider.ReadResponse> {
    const [type, id] = [typeOf(request), request.getId()];
    const state = { inputs: fromStruct(request.getInputs()), outputs: fromStruct(request.getProperties()) };
    this.#record({ act: "read", type, name: nameOf(request), preview: false, inputs: state.inputs });
    const backing = this.#backingOf(type);
    const now = backing === undefined ? state : await backing.read(id, state.inputs, state.outputs);
    const answer = new Provider.ReadResponse();
    if (now === undefined) return answer; // no id: it is gone
    return answer.setId(id).setInputs(toStruct(now.inputs)).setProperties(toStruct(now.outputs));
  }

  async #delete(request: Provider.DeleteRequest) {
    const type = typeOf(request);
    const inputs = fromStruct(request.getOldInputs());
    this.#record({ act: "delete", type, name: nameOf(request), preview: false, inputs });
    await this.#backingOf(type)?.delete(request.getId(), inputs);
    return emptyMessage();
  }

  #invoke(request: Provider.InvokeRequest): Provider.InvokeResponse {
    const inputs = plainProperties(fromStruct(request.getArgs()));
    this.#record({ act: "invoke", type: request.getTok(), name: "", preview: false, inputs });
    const answer = answerTo(request.getTok(), inputs) as Properties;
    return new Provider.InvokeResponse().setReturn(toStruct(answer));
  }

  #construct(request: Provider.ConstructRequest): Promise<Provider.ConstructResponse> {
    const [type, name, preview] = [request.getType(), request.getName(), request.getDryrun()];
    this.#record({ act: "construct", type, name, preview, inputs: fromStruct(request.getInputs()) });
    if (type !== CLUSTER_COMPONENT) throw new Error(`the recording provider makes no component of type ${type}`);
    return constructCluster(request);
  }

  #record(recorded: Recorded): void {
    const { __defaults, ...inputs } = plainProperties(recorded.inputs);
    this.#recorded.push({ ...recorded, inputs });
  }

  #backingOf(type: string): Backing | undefined {
    return this.#backing?.holds(type) === true ? this.#backing : undefined;
  }
}

/** What is asked of a provider as a whole, of which this one has little to say. */
const greetings: Partial<ProviderService.IResourceProviderServer> = {
  handshake: unary((_request: Provider.ProviderHandshakeRequest) =>
    new Provider.ProviderHandshakeResponse().setAcceptSecrets(true).setAcceptResources(true),
  ),
  attach: unary((_request: object) => emptyMessage()),
  cancel: unary((_request: object) => emptyMessage()),
  getPluginInfo: unary((_request: object) => new Plugin.PluginInfo().setVersion(ANY_VERSION)),
  getSchema: unary((_request: object) => new Provider.GetSchemaResponse().setSchema("{}")),
  checkConfig: unary((request: Provider.CheckRequest) => new Provider.CheckResponse().setInputs(request.getNews())),
  diffConfig: unary((request: Provider.DiffRequest) => {
    const { DIFF_NONE, DIFF_SOME } = Provider.DiffResponse.DiffChanges;
    const news = plainProperties(fromStruct(request.getNews()));
    const found = differences(plainProperties(oldInputsOf(request)), news);
    return new Provider.DiffResponse().setChanges(found.size === 0 ? DIFF_NONE : DIFF_SOME);
  }),
  configure: unary((_request: object) =>
    new Provider.ConfigureResponse().setAcceptsecrets(true).setSupportspreview(true).setAcceptresources(true),
  ),
};

/** Draws the name that the program did not give, as the providers do: once for each resource. */
function check(request: Provider.CheckRequest): Provider.CheckResponse {
  const [type, name] = [typeOf(request), nameOf(request)];
  const [olds, news] = [fromStruct(request.getOlds()), fromStruct(request.getNews())];
  const { autoName } = knownFacts(type);
  const drawn = `${name}-${Buffer.from(request.getRandomseed_asU8()).toString("hex").slice(0, 8)}`;
  const answer = new Provider.CheckResponse();
  if (type.startsWith("kubernetes:")) return answer.setInputs(toStruct(checkedObject(olds, news, drawn)));
  if (autoName === undefined || news[autoName] !== undefined) return answer.setInputs(toStruct(news));
  const kept = hasDrawn(olds, autoName) ? olds[autoName] : undefined;
  return answer.setInputs(toStruct({ ...news, [autoName]: kept ?? drawn, __defaults: [autoName] }));
}

function hasDrawn(inputs: Properties, name: string): boolean {
  const drawn = inputs["__defaults"];
  return Array.isArray(drawn) && drawn.includes(name);
}

function checkedObject(olds: Properties, news: Properties, drawn: string): Properties {
  const metadata = (news["metadata"] ?? {}) as Properties;
  if (metadata["name"] !== undefined) return news;
  const annotations = { ...(metadata["annotations"] as Properties | undefined), [AUTONAMED_ANNOTATION]: "true" };
  return { ...news, metadata: { ...metadata, annotations, name: textAt(olds, "metadata.name", drawn) } };
}

function knownFacts(type: string) {
  const facts = factsOf(type);
  if (facts !== undefined) return facts;
  throw new Error(`the recording provider knows no ${type}: look up what replaces it, for pulumi-resource-facts.ts`);
}

function typeOf(request: Identified): string {
  return request.getUrn().split("::")[2]?.split("$").at(-1) ?? "";
}

function nameOf(request: Identified): string {
  return request.getUrn().split("::").slice(3).join("::");
}

function oldInputsOf(request: Provider.DiffRequest | Provider.UpdateRequest): Properties {
  return fromStruct(request.getOldInputs());
}
