/** Kubernetes objects of a recorded stack that live on a real API server, which so says whether it takes them. */
import { request as httpsRequest, type RequestOptions } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import type { KubeConfig, V1APIResourceList, V1Status } from "@kubernetes/client-node";
import { driftOf, stateOf } from "./pulumi-kubernetes-state.ts";
import type { Backing, ReadState } from "./pulumi-provider.ts";
import { differences, hasUnknown, plainProperties, textAt, type Properties } from "./pulumi-values.ts";

/** Owner of the fields that it sets, as the API server writes it down. */
export const FIELD_MANAGER = "millrace-test";
const GONE_SECONDS = 60;
const LOOK_EVERY_MILLISECONDS = 50;

type Query = Readonly<Record<string, string>>;
interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/**
 * By server-side apply with strict validation of fields; a preview asks for a dry run. Unlike Pulumi's provider it does not
 * wait until a Deployment is available, and never forces a field out of another's hands.
 *
 *     const provider = await RecordingProvider.start({ backing: new KubernetesBacking(plane.admin) });
 */
export class KubernetesBacking implements Backing {
  readonly #config: KubeConfig;
  readonly #kinds = new Map<string, { readonly plural: string; readonly namespaced: boolean }>();

  constructor(config: KubeConfig) {
    this.#config = config;
  }

  holds(type: string): boolean {
    return type.startsWith("kubernetes:");
  }

  async create(inputs: Properties, preview: boolean): Promise<{ readonly id: string; readonly outputs: Properties }> {
    const object = plainProperties(inputs);
    const id = idOf(object);
    if (preview && hasUnknown(object)) return { id, outputs: inputs };
    const path = await this.#pathOf(object);
    const there = (await this.#ask("GET", path)).status !== 404;
    // a preview of what is deleted first and made anew finds the old one
    if (there && preview) return { id, outputs: inputs };
    if (there) throw new Error(`${describe(object)} exists already`);
    if (preview && !(await this.#namespaceExists(object))) return { id, outputs: inputs };
    return { id, outputs: await this.#apply(path, inputs, preview) };
  }

  async update(_id: string, inputs: Properties, preview: boolean): Promise<Properties> {
    const object = plainProperties(inputs);
    if (preview && hasUnknown(object)) return inputs;
    return this.#apply(await this.#pathOf(object), inputs, preview);
  }

  async read(_id: string, inputs: Properties, outputs: Properties): Promise<ReadState | undefined> {
    const object = plainProperties(inputs);
    const { status, body } = await this.#ask("GET", await this.#pathOf(object));
    if (status === 404) return undefined;
    const live = stateOf(checked(object, { status, body }), inputs);
    if (differences(plainProperties(outputs), plainProperties(live)).size === 0) return { inputs, outputs };
    return { inputs: driftOf(inputs, outputs, live), outputs: live };
  }

  /** Resolves when it is gone. */
  async delete(_id: string, inputs: Properties): Promise<void> {
    const object = plainProperties(inputs);
    const path = await this.#pathOf(object);
    const answer = await this.#ask("DELETE", path, { propagationPolicy: "Background" });
    if (answer.status === 404) return;
    checked(object, answer);
    const deadline = performance.now() + GONE_SECONDS * 1000;
    while ((await this.#ask("GET", path)).status !== 404) {
      if (performance.now() > deadline)
        throw new Error(`${describe(object)} is not gone after ${String(GONE_SECONDS)} s`);
      await sleep(LOOK_EVERY_MILLISECONDS);
    }
  }

  async #apply(path: string, inputs: Properties, preview: boolean): Promise<Properties> {
    const object = plainProperties(inputs);
    const query = { fieldManager: FIELD_MANAGER, fieldValidation: "Strict", ...(preview ? { dryRun: "All" } : {}) };
    return stateOf(checked(object, await this.#ask("PATCH", path, query, object)), inputs);
  }

  async #namespaceExists(object: Properties): Promise<boolean> {
    const namespace = textAt(object, "metadata.namespace");
    return namespace === "" || (await this.#ask("GET", `/api/v1/namespaces/${namespace}`)).status !== 404;
  }

  async #pathOf(object: Properties): Promise<string> {
    const version = textAt(object, "apiVersion");
    const group = version.includes("/") ? `/apis/${version}` : `/api/${version}`;
    const kind = textAt(object, "kind");
    if (!this.#kinds.has(`${version} ${kind}`)) await this.#discover(group, version);
    const found = this.#kinds.get(`${version} ${kind}`);
    if (found === undefined) throw new Error(`the API server has no ${version} ${kind}`);
    const namespace = found.namespaced ? `/namespaces/${textAt(object, "metadata.namespace", "default")}` : "";
    return `${group}${namespace}/${found.plural}/${textAt(object, "metadata.name")}`;
  }

  async #discover(group: string, version: string): Promise<void> {
    const { status, body } = await this.#ask("GET", group);
    if (status !== 200) return;
    for (const { kind, name, namespaced } of (body as V1APIResourceList).resources) {
      if (!name.includes("/")) this.#kinds.set(`${version} ${kind}`, { plural: name, namespaced });
    }
  }

  /** Past the client's own classes, which drop the fields that they do not know. */
  async #ask(method: string, path: string, query: Query = {}, body?: Properties): Promise<Answer> {
    const { server = "" } = this.#config.getCurrentCluster() ?? {};
    const { hostname, port } = new URL(server);
    const headers = { "content-type": method === "PATCH" ? "application/apply-patch+yaml" : "application/json" };
    const search = new URLSearchParams(query).toString();
    const options: RequestOptions = { hostname, port, method, path: `${path}?${search}`, headers };
    await this.#config.applyToHTTPSOptions(options);
    return new Promise((resolve, reject) => {
      const sent = httpsRequest(options, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part: string) => (text += part));
        response.once("error", reject);
        response.once("end", () => resolve({ status: response.statusCode ?? 0, body: parsed(text) }));
      });
      sent.once("error", reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}

function parsed(text: string): unknown {
  return text.startsWith("{") ? JSON.parse(text) : { message: text };
}

function checked(object: Properties, { status, body }: Answer): Properties {
  if (status < 300) return body as Properties;
  throw new Error(`the API server refuses ${describe(object)}: ${(body as V1Status).message ?? String(status)}`);
}

function idOf(object: Properties): string {
  const namespace = textAt(object, "metadata.namespace");
  return `${namespace === "" ? "" : `${namespace}/`}${textAt(object, "metadata.name")}`;
}

function describe(object: Properties): string {
  return `${textAt(object, "kind")} ${idOf(object)}`;
}
