/** What keeps an API's code runnable in a cluster: environments of versions, and templates of deployed code. */
import type { V1PodTemplateSpec } from "@kubernetes/client-node";
import type { Logger } from "pino";
import { realClock } from "../backends/clock.real.ts";
import type { JobEnvironments } from "../backends/environments.kubernetes.ts";
import type { DeclaredTemplate } from "../backends/kubernetes/pod-templates.ts";
import type { ObjectStore } from "../backends/object-store.ts";
import { CodeWatch } from "./apis/code-watch.ts";
import { TemplateRenewal } from "./apis/template-renewal.ts";
import { VersionEnvironments } from "./apis/version-environments.ts";
import type { ServiceConfig } from "./config.ts";
import { fitTemplate } from "./pods.ts";

export interface CloudCodeOptions {
  readonly config: Pick<ServiceConfig, "api" | "code">;
  readonly store: ObjectStore;
  readonly environments: JobEnvironments;
  readonly declared: () => Promise<DeclaredTemplate>;
  readonly logger: Logger;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
}

export interface CloudCode {
  readonly environments: VersionEnvironments;
  readonly watch: CodeWatch;
}

export function cloudCode({ config, store, environments, declared, logger, signal }: CloudCodeOptions): CloudCode {
  const seen = { store, clock: realClock, log: logger };
  const versions = new VersionEnvironments({
    ...{ ...seen, signal },
    make: async (version, files, progress, until) => {
      const { environment: key, spec, pod_template: template } = version;
      if (key === null || spec.handler.kind !== "python") return;
      const { dependencies } = spec.handler;
      const wanted = { key, files, dependencies, template: (template ?? {}) as unknown as V1PodTemplateSpec };
      await environments.make(wanted, progress, until);
    },
  });
  const renewal = new TemplateRenewal({
    ...{ ...seen, declared, fit: fitTemplate },
    build: (template, files, dependencies, progress, until) => {
      return environments.buildOn(template, files, dependencies, progress, until);
    },
  });
  const watch = new CodeWatch({
    ...{ ...seen, apis: () => Promise.resolve([config.api]), environments: versions },
    ...(config.code.kind === "deployed" ? { renewal } : {}),
  });
  return { environments: versions, watch };
}
