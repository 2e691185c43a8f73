/** A whole Kubernetes cluster on this machine, for tests: a control plane, real nodes, and images that need no registry. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { KubeConfig } from "@kubernetes/client-node";
import { ControlPlane, type ControlPlaneOptions } from "./control-plane.ts";
import { drawNetwork } from "./loopback.ts";
import { makeNamespace, type ApiNamespace, type NamespaceOptions } from "./namespace.ts";
import { PAUSE_IMAGE } from "./node-config.ts";
import { ClusterNode, type NodeOptions } from "./node.ts";
import { writeOciImage } from "./oci-image.ts";
import { ensureBinary, ensureDebianRoot } from "./servers-cache.ts";

/** An image of one static program with a shell, on every node. */
export const BUSYBOX_IMAGE = "localhost/busybox:1";

export interface ClusterOptions extends ControlPlaneOptions {
  /** How many, or one entry for each. Default 2. */
  readonly nodes?: number | readonly NodeOptions[];
  /** Paths of image tars that every node holds from the start. */
  readonly images?: readonly string[];
}

/**
 * Owns all of it. Starting one with two nodes takes half a minute of two busy processors, 415 MiB of memory and 147 MiB of
 * disk, without pods and images; stopping it takes 3 s. So a test file starts one for all its tests, in
 * `beforeAll`, and each test takes a namespace of its own. Files do not share one: tests crash nodes and the API server.
 * Where `nodesAllowed()` says no, there is no such cluster: `startProcessNode` runs pods on a bare control plane.
 *
 *     const cluster = await startCluster({ nodes: 2, images: [workerImage] });
 *     const { name, service } = await cluster.makeNamespace("photos");
 *     await cluster.stop();
 */
export interface Cluster {
  readonly controlPlane: ControlPlane;
  /** May do everything. */
  readonly admin: KubeConfig;
  readonly nodes: readonly ClusterNode[];
  /** A namespace as that of a batch API, named `<stem>-<number>`. */
  makeNamespace(stem: string, options?: NamespaceOptions): Promise<ApiNamespace>;
  /** @throws when there is no such node. */
  node(name: string): ClusterNode;
  addNode(options?: NodeOptions): Promise<ClusterNode>;
  /**
   * The API server and every node as they were: for `afterEach`, so that what a failed test left broken does not fail its
   * second run and the tests after it. Costs a few requests when nothing is.
   */
  restore(): Promise<void>;
  /** Every node can start containers of it from now on. */
  importImage(tar: string): Promise<void>;
  /** Ends everything, and leaves nothing: no process, folder, control group, mount or network link. */
  stop(): Promise<void>;
}

/** @throws when a part does not come up, with the end of its log; nothing is left then. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { nodes: asked = 2, images = [] } = options;
  const [debianRoot, pause, plane] = await Promise.all([
    ensureDebianRoot(),
    ensureBinary("pause"),
    ControlPlane.start(options),
  ]);
  try {
    const network = drawNetwork();
    const everywhere = [...(await writeOwnImages(plane.folder, debianRoot, pause)), ...images];
    let started = 0;
    const start = (nodeOptions: NodeOptions) =>
      ClusterNode.start(plane, { number: (started += 1), network, debianRoot }, everywhere, nodeOptions);
    const wanted = typeof asked === "number" ? Array.from({ length: asked }, () => ({})) : asked;
    const nodes = await Promise.all(wanted.map(start));
    return clusterOf(plane, nodes, start);
  } catch (error) {
    await plane.stop();
    throw error;
  }
}

function clusterOf(
  controlPlane: ControlPlane,
  nodes: ClusterNode[],
  start: (options: NodeOptions) => Promise<ClusterNode>,
): Cluster {
  let namespaces = 0;
  return {
    controlPlane,
    admin: controlPlane.admin,
    nodes,
    makeNamespace: (stem, options) => makeNamespace(controlPlane, `${stem}-${String((namespaces += 1))}`, options),
    node: (name) => {
      const found = nodes.find((node) => node.name === name);
      if (found === undefined) throw new Error(`the cluster has no node ${name}`);
      return found;
    },
    addNode: async (options = {}) => {
      const node = await start(options);
      nodes.push(node);
      return node;
    },
    restore: async () => {
      await controlPlane.restore();
      await Promise.all(nodes.map((node) => node.restore()));
    },
    importImage: async (tar) => {
      await Promise.all(nodes.map((node) => node.importImage(tar)));
    },
    stop: async () => {
      // the control plane first, or it would start to replace what the nodes lose
      await controlPlane.endProcesses();
      await Promise.all(nodes.map((node) => node.crash()));
      await controlPlane.stop();
    },
  };
}

async function writeOwnImages(folder: string, debianRoot: string, pause: string): Promise<readonly string[]> {
  const images = join(folder, "images");
  mkdirSync(images);
  const [pauseTar, busyboxTar] = [join(images, "pause.tar"), join(images, "busybox.tar")];
  await writeOciImage(pauseTar, {
    name: PAUSE_IMAGE,
    content: [{ path: "/pause", from: pause }],
    entrypoint: ["/pause"],
  });
  await writeOciImage(busyboxTar, {
    name: BUSYBOX_IMAGE,
    content: [{ path: "/bin/busybox", from: join(debianRoot, "bin/busybox") }],
    entrypoint: ["/bin/busybox", "sh", "-c"],
  });
  return [pauseTar, busyboxTar];
}
