/** Code that a stack owns, as the objects that it writes into the store. Pure. */
import { apiVersion, encodeCurrent, encodeVersion } from "../protocol/api-version.ts";
import type { ApiSpec } from "../protocol/api-spec.ts";
import type { PodTemplate } from "../protocol/jobs.ts";
import { apiKeys } from "../protocol/keys.ts";
import { WORKER_CONTAINER, workerPods, type Literal } from "../protocol/worker-pods.ts";
import type { V1PodTemplateSpec } from "@kubernetes/client-node";
import { imageEnvironmentKey } from "./environment-key.ts";
import type { ProjectFiles } from "./project-files.ts";

export interface PinnedCode {
  /** As the project's file says it (`readProjectSpec`), with what the stack overrides. */
  readonly spec: ApiSpec;
  readonly files: ProjectFiles;
  /** sha256 of the files' archive (`packProject`). */
  readonly project: string;
  /** What workers are declared with, as a PodTemplate's `template`: JSON in the API server's own field names. */
  readonly podTemplate: PodTemplate;
}

export interface StoredText {
  readonly key: string;
  readonly content: string;
}

export interface PinnedObjects {
  /** Twelve hex digits, made of all that follows. */
  readonly version: string;
  /** Key of the environment that the service will build; null: none. */
  readonly environment: string | null;
  /** Where the archive goes; its content is `packProject`'s. */
  readonly archiveKey: string;
  /** Immutable: another content has another key. */
  readonly versionObject: StoredText;
  /** Written last, and after the service that reads it has rolled: from then on new jobs get this version. */
  readonly currentObject: StoredText;
}

/** Throws `PodTemplateUnfit` when spec and template do not go together. */
export function pinnedObjects({ spec, files, project, podTemplate }: PinnedCode): PinnedObjects {
  const declared = podTemplate as Literal<V1PodTemplateSpec>;
  const fitted = workerPods(spec, declared) as unknown as PodTemplate; // a literal, kept as JSON
  const image = declared.spec?.containers.find(({ name }) => name === WORKER_CONTAINER)?.image ?? "";
  const environment =
    spec.handler.kind === "python" ? imageEnvironmentKey(files, spec.handler.dependencies, image) : null;
  const version = apiVersion({ spec, project, environment, podTemplate: fitted }, null);
  const keys = apiKeys(spec.name);
  return {
    version: version.version,
    environment,
    archiveKey: keys.project(project),
    versionObject: { key: keys.version(version.version), content: encodeVersion(version) },
    currentObject: { key: keys.current, content: encodeCurrent({ version: version.version, generation: 0 }) },
  };
}
