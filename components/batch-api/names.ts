/**
 * Names of an API's Kubernetes objects. They are given, not drawn: roles, pod templates in stored versions and people refer to
 * them, and each API has a namespace of its own, so that none is there twice.
 */
import { API_LABEL } from "../../services/protocol/service-pods.ts";

export {
  API_LABEL,
  DOORS_PORT,
  HEALTH_PORT,
  namespaceOf,
  serviceLabels,
} from "../../services/protocol/service-pods.ts";

export const SERVICE_ACCOUNT = "service";
export const WORKER_ACCOUNT = "worker";
export const BUILDER_ACCOUNT = "builder";
/** The Deployment, its Service and its disruption budget. */
export const SERVICE_NAME = "service";
export const POD_TEMPLATE = "workers";
/** Secret with the workers' secret environment variables; stored versions refer to it, so that new values reach old jobs. */
export const WORKER_SECRET = "worker-environment";
/** Secret with the hashes of API keys. */
export const API_KEYS_SECRET = "api-keys";

export function workerLabels(api: string): Readonly<Record<string, string>> {
  return { "app.kubernetes.io/name": "millrace-worker", [API_LABEL]: api };
}
