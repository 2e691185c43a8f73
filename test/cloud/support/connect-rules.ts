/** All that `millrace connect` needs in a namespace; docs/connect.md shows the same. */
import type { V1PolicyRule } from "@kubernetes/client-node";

export const CONNECT_RULES: readonly V1PolicyRule[] = [
  { apiGroups: [""], resources: ["pods"], verbs: ["list", "watch"] },
  { apiGroups: [""], resources: ["pods/portforward"], verbs: ["get", "create"] },
];
