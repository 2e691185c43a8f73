/** Images of this package's own programs, built where `pulumi up` runs and kept in ECR. */
import { relative } from "node:path";
import * as aws from "@pulumi/aws";
import * as dockerBuild from "@pulumi/docker-build";
import * as pulumi from "@pulumi/pulumi";
import { Faults } from "./faults.ts";
import { dockerfileOf, imageTag, packageRoot, type RuntimeProgram } from "./images/image-sources.ts";
import { ownTags, type Tags } from "./tags.ts";

export type Architecture = "amd64" | "arm64";

export interface RuntimeImageArgs {
  readonly program: RuntimeProgram;
  /** Of the nodes that run it; default amd64. Another one than the builder's own is emulated, and slow. */
  readonly architecture?: Architecture;
  /**
   * Worker only: the image that handlers run on, any Linux with `python3`, glibc 2.28 and libstdc++; name it by digest.
   * Default: the Dockerfile's own. CUDA from wheels (PyTorch's, for one) needs no other base.
   */
  readonly pythonImage?: pulumi.Input<string>;
  /** `pulumi destroy` removes the repository with its images; default false: one that holds images stays. */
  readonly forceDelete?: boolean;
  readonly tags?: Tags;
}

/** Only what no tag names: layers of builds that were overtaken. */
const UNTAGGED_DAYS = 14;
const CACHE_TAG = "cache";

/**
 * The image of the service or of the workers. Needs a BuildKit (Docker has one) where `pulumi up` runs; a preview builds nothing.
 *
 *     const image = new RuntimeImage("worker", { program: "worker", pythonImage: "registry.example/cuda-python@sha256:…" });
 *     new BatchApi("image-classifier", { …, image: { worker: image.ref } });
 *
 * Owns a repository: tags never move (but the build cache's), images are scanned when they come, untagged ones go.
 */
export class RuntimeImage extends pulumi.ComponentResource {
  /** `<repository>@<digest>`, for pods. */
  readonly ref: pulumi.Output<string>;

  constructor(name: string, args: RuntimeImageArgs, opts?: pulumi.ComponentResourceOptions) {
    const faults = new Faults(`RuntimeImage "${name}"`);
    if (args.program === "service" && args.pythonImage !== undefined) {
      faults.add("pythonImage", "is for workers; the service runs no Python: leave it out");
    }
    faults.throwIfAny();
    super("millrace:index:RuntimeImage", name, {}, opts);
    const { program, architecture = "amd64" } = args;
    const repository = this.#repository(name, args);
    const { userName, password } = aws.ecr.getAuthorizationTokenOutput(
      { registryId: repository.registryId },
      { parent: this },
    );
    const buildArgs: Record<string, pulumi.Input<string>> = args.pythonImage === undefined
      ? {}
      : { PYTHON_IMAGE: args.pythonImage };
    const tag = pulumi.output(buildArgs).apply((values) => imageTag(program, { ...values, architecture }));
    const url = repository.repositoryUrl;
    // from where the program runs, so that another checkout of it is no other image
    const folder = relative(process.cwd(), packageRoot()) || ".";
    const image = new dockerBuild.Image(
      `${name}-image`,
      {
        context: { location: folder },
        dockerfile: { location: `${folder}/${dockerfileOf(program)}` },
        platforms: [architecture === "amd64" ? "linux/amd64" : "linux/arm64"],
        buildArgs,
        tags: [pulumi.interpolate`${url}:${tag}`],
        push: true,
        buildOnPreview: false,
        registries: [{ address: url, username: userName, password: pulumi.secret(password) }],
        cacheFrom: [{ registry: { ref: pulumi.interpolate`${url}:${CACHE_TAG}` } }],
        cacheTo: [
          {
            registry: {
              ref: pulumi.interpolate`${url}:${CACHE_TAG}`,
              imageManifest: true, // ECR takes no other form of a cache
              ociMediaTypes: true,
            },
          },
        ],
      },
      { parent: this },
    );
    this.ref = image.ref;
    this.registerOutputs({ ref: this.ref });
  }

  #repository(name: string, args: RuntimeImageArgs): aws.ecr.Repository {
    const repository = new aws.ecr.Repository(
      `${name}-repository`,
      {
        imageTagMutability: "IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters: [{ filter: CACHE_TAG, filterType: "WILDCARD" }],
        imageScanningConfiguration: { scanOnPush: true },
        encryptionConfigurations: [{ encryptionType: "AES256" }],
        forceDelete: args.forceDelete ?? false,
        tags: ownTags("RuntimeImage", name, args.tags),
      },
      { parent: this },
    );
    const selection = {
      tagStatus: "untagged",
      countType: "sinceImagePushed",
      countUnit: "days",
      countNumber: UNTAGGED_DAYS,
    };
    new aws.ecr.LifecyclePolicy(
      `${name}-lifecycle`,
      {
        repository: repository.name,
        policy: JSON.stringify({
          rules: [{ rulePriority: 1, description: "untagged images", selection, action: { type: "expire" } }],
        }),
      },
      { parent: this },
    );
    return repository;
  }
}
