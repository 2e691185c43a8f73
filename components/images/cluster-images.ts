/** Images that the APIs of a cluster share, declared when the first one needs them: who gives images needs no builder. */
import type { Output, Resource } from "@pulumi/pulumi";
import type { Architecture } from "../instance-shape.ts";
import { RuntimeImage } from "../runtime-image.ts";
import type { Tags } from "../tags.ts";

export interface ClusterImagesArgs {
  /** The cluster's name, which theirs begin with. */
  readonly name: string;
  /** Of the nodes that services run on. */
  readonly systemArchitecture: Architecture;
  readonly tags: Tags | undefined;
}

export class ClusterImages {
  readonly #args: ClusterImagesArgs;
  readonly #cluster: Resource;
  readonly #images = new Map<string, RuntimeImage>();

  constructor(args: ClusterImagesArgs, cluster: Resource) {
    this.#args = args;
    this.#cluster = cluster;
  }

  service(): Output<string> {
    return this.#image("service", this.#args.systemArchitecture);
  }

  /** @param architecture of the nodes that it runs on; default: the system nodes' */
  worker(architecture: Architecture = this.#args.systemArchitecture): Output<string> {
    return this.#image("worker", architecture);
  }

  #image(program: "service" | "worker", architecture: Architecture): Output<string> {
    const role = `${program}-${architecture}`;
    const { name, tags } = this.#args;
    const image =
      this.#images.get(role) ??
      new RuntimeImage(
        `${name}-${role}`,
        { program, architecture, ...(tags === undefined ? {} : { tags }) },
        { parent: this.#cluster },
      );
    this.#images.set(role, image);
    return image.ref;
  }
}
