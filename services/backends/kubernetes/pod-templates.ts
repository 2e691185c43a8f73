import type { CoreV1Api, V1PodTemplateSpec } from "@kubernetes/client-node";
import { statusOf, wordsOf } from "./api-calls.ts";

/**
 * The pod template that the API's owner declared. A new version of the API keeps a copy of it.
 * Throws an error that names the template when it is missing, may not be read or is empty.
 */
export async function readPodTemplate(core: CoreV1Api, namespace: string, name: string): Promise<V1PodTemplateSpec> {
  const what = `PodTemplate ${namespace}/${name}`;
  try {
    const { template } = await core.readNamespacedPodTemplate({ namespace, name });
    if (template?.spec !== undefined) return template;
  } catch (error) {
    if (statusOf(error) === 404)
      throw new Error(`${what} does not exist: declare it, or correct its name`, { cause: error });
    throw new Error(`${what} cannot be read: ${wordsOf(error)}`, { cause: error });
  }
  throw new Error(`${what} is empty: it needs a template with a container named "worker"`);
}
