/**
 * Names of an API's Kubernetes objects. They are given, not drawn: roles, pod templates in stored versions and people refer to
 * them, and each API has a namespace of its own, so that none is there twice.
 */

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

export const DOORS_PORT = 8877;
export const HEALTH_PORT = 8878;

/** Of one API alone; at most 48 characters. */
export function namespaceOf(api: string): string {
  return `batch-${api}`;
}

/** What the pods of the service are found by. */
export function serviceLabels(api: string): Readonly<Record<string, string>> {
  return { "app.kubernetes.io/name": "millrace-service", "millrace/api": api };
}

export function workerLabels(api: string): Readonly<Record<string, string>> {
  return { "app.kubernetes.io/name": "millrace-worker", "millrace/api": api };
}
