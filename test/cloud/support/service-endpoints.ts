/** Where a Service leads: the ready addresses of its EndpointSlices, as kube-proxy follows them. There is no kube-proxy here. */
import { DiscoveryV1Api, Watch, type KubeConfig, type V1EndpointSlice } from "@kubernetes/client-node";
import { setTimeout as sleep } from "node:timers/promises";

const AGAIN_MILLISECONDS = 100;

export interface ServiceName {
  readonly namespace: string;
  readonly name: string;
  /** Of the Service's port; so many Services have several. */
  readonly portName: string;
}

/**
 * Follows until `stop`. A connection that stands is left alone, as kube-proxy leaves it; each request that asks anew gets the
 * next address that is ready at that moment.
 */
export class ServiceEndpoints {
  readonly #slices = new Map<string, V1EndpointSlice>();
  readonly #admin: KubeConfig;
  readonly #service: ServiceName;
  readonly #stopped = new AbortController();
  #asked = 0;

  constructor(admin: KubeConfig, service: ServiceName) {
    this.#admin = admin;
    this.#service = service;
    void this.#follow();
  }

  stop(): void {
    this.#stopped.abort();
  }

  /** `address:port` of each pod that is ready now. */
  get ready(): readonly string[] {
    return [...this.#slices.values()].flatMap(({ endpoints, ports }) => {
      const port = ports?.find(({ name }) => name === this.#service.portName)?.port;
      const ready = endpoints?.filter(({ conditions }) => conditions?.ready !== false) ?? [];
      return ready.flatMap(({ addresses }) => addresses.map((address) => `${address}:${String(port)}`));
    });
  }

  /** One after the other. Throws when there is none, as a connection to such a Service is refused. */
  next(): string {
    const { ready } = this;
    const found = ready[(this.#asked += 1) % ready.length];
    if (found === undefined) throw new Error(`Service ${this.#service.name} has no endpoint that is ready`);
    return found;
  }

  async #follow(): Promise<void> {
    const discovery = this.#admin.makeApiClient(DiscoveryV1Api);
    const { namespace, name } = this.#service;
    const labelSelector = `kubernetes.io/service-name=${name}`;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      try {
        const { items, metadata } = await discovery.listNamespacedEndpointSlice({ namespace, labelSelector });
        this.#slices.clear();
        for (const slice of items) this.#note("ADDED", slice);
        await this.#watch({ labelSelector, resourceVersion: metadata?.resourceVersion ?? "" });
      } catch {
        // the API server is away: what was known last counts, as for kube-proxy
      }
      await sleep(AGAIN_MILLISECONDS, undefined, { signal }).catch(() => undefined); // stopped
    }
  }

  async #watch(query: Readonly<Record<string, string>>): Promise<void> {
    const path = `/apis/discovery.k8s.io/v1/namespaces/${this.#service.namespace}/endpointslices`;
    const { signal } = this.#stopped;
    const over = Promise.withResolvers<undefined>();
    const note = (kind: string, slice: V1EndpointSlice) => {
      this.#note(kind, slice);
    };
    const watching = await new Watch(this.#admin).watch(path, query, note, () => {
      over.resolve(undefined);
    });
    const abort = () => {
      watching.abort();
    };
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
    await over.promise;
    signal.removeEventListener("abort", abort);
  }

  #note(kind: string, slice: V1EndpointSlice): void {
    const name = slice.metadata?.name ?? "";
    if (kind === "DELETED") this.#slices.delete(name);
    else if (kind !== "ERROR") this.#slices.set(name, slice);
  }
}
