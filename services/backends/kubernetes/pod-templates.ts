import type { CoreV1Api, V1ObjectMeta, V1PodTemplateSpec } from "@kubernetes/client-node";
import type { TemplateAge } from "../../protocol/jobs.ts";
import { statusOf, wordsOf } from "./api-calls.ts";

export interface DeclaredTemplate {
  readonly template: V1PodTemplateSpec;
  readonly age: TemplateAge;
}

/**
 * The pod template that the API's owner declared. A new version of the API keeps a copy of it.
 * Throws an error that names the template when it is missing, may not be read or is empty.
 */
export async function readPodTemplate(core: CoreV1Api, namespace: string, name: string): Promise<DeclaredTemplate> {
  const what = `PodTemplate ${namespace}/${name}`;
  try {
    const { metadata, template } = await core.readNamespacedPodTemplate({ namespace, name });
    if (template?.spec !== undefined) return { template, age: ageOf(metadata) };
  } catch (error) {
    if (statusOf(error) === 404)
      throw new Error(`${what} does not exist: declare it, or correct its name`, { cause: error });
    throw new Error(`${what} cannot be read: ${wordsOf(error)}`, { cause: error });
  }
  throw new Error(`${what} is empty: it needs a template with a container named "worker"`);
}

/** An API server counts what is written to a PodTemplate's `template` as its generation. */
function ageOf(metadata: V1ObjectMeta | undefined): TemplateAge {
  return { made_at: metadata?.creationTimestamp?.getTime() ?? 0, generation: metadata?.generation ?? 1 };
}
