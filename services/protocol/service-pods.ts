/** How the pods of an API's service are found in a cluster: said once, for stacks, the service and `millrace connect`. */

/** Ports of the doors, and of health and metrics, inside their pod, where nothing else is told. */
export const DOORS_PORT = 8877;
export const HEALTH_PORT = 8878;

/** Namespace of an API where nobody chose another; at most 48 characters. */
export function namespaceOf(api: string): string {
  return `batch-${api}`;
}

/** The service's pods, of whatever API. */
export const SERVICE_LABEL = { name: "app.kubernetes.io/name", value: "millrace-service" } as const;
/** Which API a pod belongs to. */
export const API_LABEL = "millrace/api";

export function serviceLabels(api: string): Readonly<Record<string, string>> {
  return { [SERVICE_LABEL.name]: SERVICE_LABEL.value, [API_LABEL]: api };
}
