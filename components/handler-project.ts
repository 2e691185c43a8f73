/** A handler's project in the store: its archive and the version of the API that it makes. */
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { ApiSpec } from "../services/protocol/api-spec.ts";
import type { PodTemplate } from "../services/protocol/jobs.ts";
import { pinnedObjects, type PinnedObjects } from "../services/project/pinned-code.ts";
import { packFiles, sha256Hex, type ProjectFiles } from "../services/project/project-files.ts";
import type { BatchStore } from "./batch-store.ts";
import { checkedProject } from "./batch-api/checked-project.ts";
import { Faults } from "./faults.ts";
import { ownTags, type Tags } from "./tags.ts";

export interface HandlerProjectArgs {
  readonly store: Pick<BatchStore, "bucketName">;
  /** The API whose code it is; the project's file must name it so. */
  readonly api: string;
  /** Folder with the project's millrace.yaml (or cortex.yaml), from where `pulumi up` runs. */
  readonly path: string;
  /** What its workers run in: the `template` of a PodTemplate, resolved, images by digest. */
  readonly podTemplate: pulumi.Input<PodTemplate>;
  /** Changes the project's spec for this stack; default: as it is. */
  readonly specOf?: (spec: ApiSpec) => ApiSpec;
  readonly tags?: Tags;
}

/**
 * A project as the stack owns it: packed by the same rules as `millrace deploy` packs it (ignore files, no times, no owners),
 * stored under its sha256, and with a version object that says what runs it. Nothing uses the version before
 * `current` is written: `BatchApi` does that after its service has rolled.
 *
 *     const project = new HandlerProject("words", { store, api: "word-count", path: "./word-count", podTemplate });
 *
 * Both objects stay when the stack moves on or is destroyed: jobs end on the version that they were accepted with. Nothing
 * removes them by itself.
 *
 * @throws {pulumi.InputPropertyError} when the folder is no project, or its file has faults
 */
export class HandlerProject extends pulumi.ComponentResource {
  /** Twelve hex digits: the same code, spec, images and pods are the same version. */
  readonly version: pulumi.Output<string>;
  /** What `current.json` must hold for new jobs to get this version. */
  readonly current: pulumi.Output<PinnedObjects["currentObject"]>;

  constructor(name: string, args: HandlerProjectArgs, opts?: pulumi.ComponentResourceOptions) {
    const faults = new Faults(`HandlerProject "${name}"`);
    const project = checkedProject(args.path, args.api, "path", faults);
    faults.throwIfAny();
    if (project === undefined) throw new Error("checked"); // faults were thrown
    super("millrace:index:HandlerProject", name, {}, opts);
    const { files, spec } = { ...project, spec: args.specOf?.(project.spec) ?? project.spec };
    const archive = packFiles(files).then(kept);
    const objects = this.#objects(spec, files, archive, args.podTemplate);
    const common = { bucket: args.store.bucketName, tags: ownTags("HandlerProject", name, args.tags) };
    const staying = { parent: this, retainOnDelete: true };
    new aws.s3.BucketObjectv2(
      `${name}-archive`,
      {
        ...common,
        key: objects.archiveKey,
        contentType: "application/gzip",
        source: archive.then(({ path }) => new pulumi.asset.FileAsset(path)),
      },
      staying,
    );
    new aws.s3.BucketObjectv2(
      `${name}-version`,
      {
        ...common,
        key: objects.versionObject.key,
        contentType: "application/json",
        content: objects.versionObject.content,
      },
      staying,
    );
    this.version = objects.version;
    this.current = objects.currentObject;
    this.registerOutputs({ version: this.version });
  }

  #objects(
    spec: ApiSpec,
    files: ProjectFiles,
    archive: Promise<Archive>,
    podTemplate: pulumi.Input<PodTemplate>,
  ): pulumi.Output<PinnedObjects> {
    return pulumi
      .all([archive, podTemplate])
      .apply(([{ sha256 }, template]) => pinnedObjects({ spec, files, project: sha256, podTemplate: template }));
  }
}

interface Archive {
  readonly path: string;
  readonly sha256: string;
}

/** As a file of the machine that runs the program: an asset in memory could hold text alone. */
function kept(archive: Buffer): Archive {
  const sha256 = sha256Hex(archive);
  const path = join(tmpdir(), `millrace-project-${sha256}.tar.gz`);
  writeFileSync(path, archive);
  return { path, sha256 };
}
