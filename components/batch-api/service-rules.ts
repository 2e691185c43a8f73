/** Rights of the service in Kubernetes: what stacks grant, tests run under, and docs/operations.md shows. */

interface Rule {
  readonly apiGroups: string[];
  readonly resources: string[];
  readonly verbs: string[];
}

/** All that the service may do in Kubernetes, in its own namespace alone. Workers and builders may do nothing. */
export const SERVICE_RULES: readonly Rule[] = [
  { apiGroups: ["batch"], resources: ["jobs"], verbs: ["create", "get", "list", "watch", "patch", "delete"] },
  { apiGroups: [""], resources: ["pods"], verbs: ["list", "watch"] },
  { apiGroups: [""], resources: ["podtemplates"], verbs: ["get"] },
  { apiGroups: [""], resources: ["events"], verbs: ["list"] },
];
