/** How every pod of ours runs: as Kubernetes' "restricted" level demands, and with a root that nobody writes to. */

/** The images' user. */
const USER = 65_532;

export const POD_SECURITY = {
  ...{ runAsNonRoot: true, runAsUser: USER, runAsGroup: USER, fsGroup: USER },
  seccompProfile: { type: "RuntimeDefault" },
};

export const CONTAINER_SECURITY = {
  ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true },
  capabilities: { drop: ["ALL"] },
};
