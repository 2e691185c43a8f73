/** Runs a Pulumi program against a monitor that writes down what is declared. It proves what we ask for, never that a cloud takes it. */
import { createRequire } from "node:module";
import * as pulumi from "@pulumi/pulumi";
import { MockMonitor } from "@pulumi/pulumi/runtime/mocks.js";
import { answerTo, computedOutputs } from "./computed-outputs.ts";

/** A resource as the engine would be asked for it. */
export interface DeclaredResource {
  readonly type: string;
  readonly name: string;
  readonly urn: string;
  /** URN of its parent; "" for the stack. */
  readonly parent: string;
  /** False: a component. */
  readonly custom: boolean;
  /** Secrets unwrapped; what a preview does not know is `UNKNOWN`. */
  readonly inputs: Readonly<Record<string, unknown>>;
  /** Paths of inputs that were secret: `data.key`. */
  readonly secrets: readonly string[];
  readonly dependsOn: readonly string[];
  readonly protect: boolean;
  readonly retainOnDelete: boolean;
  readonly ignoreChanges: readonly string[];
  /** `<urn>::<id>` of an explicit provider; "" for the default one. */
  readonly provider: string;
}

/** Stands in inputs for what is unknown in a preview. */
export const UNKNOWN = "<unknown>";

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";

interface RegisterRequest {
  getType(): string;
  getName(): string;
  getParent(): string;
  getCustom(): boolean;
  getObject(): unknown;
  getDependenciesList(): string[];
  getProtect(): boolean;
  getRetainondelete(): boolean;
  getIgnorechangesList(): string[];
  getProvider(): string;
}
type Reply<T> = (error: unknown, response: T) => void;

interface PulumiInternals {
  readonly rpc: {
    deserializeProperties(object: unknown, keepUnknowns?: boolean): Record<string, unknown>;
  };
  readonly settings: {
    setMockOptions(monitor: MockMonitor, project: string, stack: string, preview: boolean, organization: string): void;
  };
}

const require = createRequire(import.meta.url);
const internals: PulumiInternals = {
  rpc: require("@pulumi/pulumi/runtime/rpc.js") as PulumiInternals["rpc"],
  settings: require("@pulumi/pulumi/runtime/settings.js") as PulumiInternals["settings"],
};

class Recorder extends MockMonitor {
  readonly declared: DeclaredResource[] = [];

  override async registerResource(request: RegisterRequest, reply: Reply<{ getUrn(): string }>): Promise<void> {
    await super.registerResource(request, (error: unknown, response: { getUrn(): string }) => {
      if (error === null) this.declared.push(declaredBy(request, response.getUrn()));
      reply(error, response);
    });
  }
}

function declaredBy(request: RegisterRequest, urn: string): DeclaredResource {
  const secrets: string[] = [];
  const inputs = internals.rpc.deserializeProperties(request.getObject(), true);
  return {
    type: request.getType(),
    name: request.getName(),
    urn,
    parent: request.getParent(),
    custom: request.getCustom(),
    inputs: unwrapped(inputs, "", secrets) as Record<string, unknown>,
    secrets,
    dependsOn: request.getDependenciesList(),
    protect: request.getProtect(),
    retainOnDelete: request.getRetainondelete(),
    ignoreChanges: request.getIgnorechangesList(),
    provider: request.getProvider(),
  };
}

/** Plain values, with the paths of those that were secret. */
function unwrapped(value: unknown, path: string, secrets: string[]): unknown {
  if (Array.isArray(value)) return value.map((each, at) => unwrapped(each, `${path}[${String(at)}]`, secrets));
  if (typeof value !== "object" || value === null) return value;
  if ("__pulumiUnknown" in value) return UNKNOWN;
  if (pulumi.Resource.isInstance(value) || pulumi.asset.Asset.isInstance(value)) return value;
  if ((value as Record<string, unknown>)[SIGNATURE] === SECRET) {
    secrets.push(path);
    return unwrapped((value as { readonly value: unknown }).value, path, secrets);
  }
  const dot = path === "" ? "" : ".";
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, unwrapped(each, `${path}${dot}${key}`, secrets)]),
  );
}

/** What a program declared. */
export class RenderedStack {
  readonly resources: readonly DeclaredResource[];
  /** Of the program; secrets unwrapped. */
  readonly outputs: Readonly<Record<string, unknown>>;

  constructor(resources: readonly DeclaredResource[], outputs: Readonly<Record<string, unknown>>) {
    this.resources = resources;
    this.outputs = outputs;
  }

  ofType(type: string): readonly DeclaredResource[] {
    return this.resources.filter((each) => each.type === type);
  }

  /** The one resource of that type (and name). Throws when there is none, or several. */
  one(type: string, name?: string): DeclaredResource {
    const found = this.ofType(type).filter((each) => name === undefined || each.name === name);
    const [only] = found;
    if (only !== undefined && found.length === 1) return only;
    const names = this.ofType(type).map((each) => each.name);
    throw new Error(`${String(found.length)} of ${type} ${name ?? ""}; there are: ${names.join(", ")}`);
  }

  named(name: string): DeclaredResource | undefined {
    return this.resources.find((each) => each.name === name);
  }

  /** Children of a component, and theirs. */
  under(component: DeclaredResource): readonly DeclaredResource[] {
    const own = this.resources.filter(({ parent }) => parent === component.urn);
    return [...own, ...own.flatMap((child) => this.under(child))];
  }
}

/**
 * Runs a program as `pulumi up` would (or `pulumi preview`, in which whatever a provider computes is unknown), and resolves when
 * all that it declared is declared. Rejects with what the program threw. One at a time: Pulumi's runtime is global.
 */
export async function render(
  program: () => unknown,
  { preview = false, project = "millrace", stack = "test" } = {},
): Promise<RenderedStack> {
  const monitor = new Recorder({
    newResource: ({ type, name, inputs, id }) => {
      const { id: computedId, ...state } = computedOutputs(type, name, inputs as Record<string, unknown>);
      // what is absent from a preview's answer is unknown to the program
      if (preview) return { id: undefined, state: inputs as Record<string, unknown> };
      return { id: id === undefined || id === "" ? computedId : id, state };
    },
    call: ({ token, inputs }) => answerTo(token, inputs as Record<string, unknown>),
  });
  const silent = { newResource: () => ({ id: "", state: {} }), call: () => ({}) };
  await pulumi.runtime.setMocks(silent, project, stack, preview, "acme");
  internals.settings.setMockOptions(monitor, project, stack, preview, "acme");
  const outcome = await outcomeOf(program);
  await (pulumi.runtime as unknown as { waitForRPCs(): Promise<void> }).waitForRPCs();
  if ("thrown" in outcome) throw outcome.thrown;
  const resources = monitor.declared.filter(({ type }) => type !== "pulumi:pulumi:Stack");
  return new RenderedStack(resources, await plainOutputs(outcome.returned));
}

/** Inside the stack's own promise a program's error would be told several times, and unhandled. */
async function outcomeOf(
  program: () => unknown,
): Promise<{ readonly returned: unknown } | { readonly thrown: unknown }> {
  let outcome: { readonly returned: unknown } | { readonly thrown: unknown } = { returned: undefined };
  await pulumi.runtime.runInPulumiStack(() => {
    try {
      outcome = { returned: program() };
    } catch (thrown) {
      outcome = { thrown };
    }
    return Promise.resolve();
  });
  return outcome;
}

async function plainOutputs(returned: unknown): Promise<Record<string, unknown>> {
  if (typeof returned !== "object" || returned === null || pulumi.Resource.isInstance(returned)) return {};
  const plain: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(returned)) {
    const output = pulumi.output(value) as unknown as { isKnown: Promise<boolean>; promise(): Promise<unknown> };
    plain[key] = (await output.isKnown) ? unwrapped(await output.promise(), "", []) : UNKNOWN;
  }
  return plain;
}
