/** What a test node's containerd and kubelet are told. */
import { join } from "node:path";
import type { V1Taint } from "@kubernetes/client-node";
import { stringify } from "yaml";
import type { CertificateFiles } from "./certificates.ts";

export const PAUSE_IMAGE = "localhost/pause:1";
/** The same on every node, as each has an address of its own. */
const KUBELET_PORT = 10250;

export interface NodePlace {
  /** Also the node's name: with a name that is an address the kubelet takes it as its own, loopback or not. */
  readonly address: string;
  readonly folder: string;
  /** Where the Debian packages of containerd, runc and the network plugins are unpacked. */
  readonly debianRoot: string;
  /** Path of its control group, from the root of each hierarchy. */
  readonly controlGroup: string;
  /** Name of its bridge, at most 15 characters. */
  readonly bridge: string;
  /** Of the pods that have no host network. */
  readonly podSubnet: string;
}

/** Without what this kernel's version 1 control groups and a namespace without systemd do not have. */
export function containerdConfig(place: NodePlace): string {
  const unused = ["snapshotter.v1.btrfs", "snapshotter.v1.zfs", "snapshotter.v1.aufs", "snapshotter.v1.devmapper"];
  const disabled = [...unused, "internal.v1.opt", "tracing.processor.v1.otlp"].map((name) => `io.containerd.${name}`);
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  return `version = 2
root = ${JSON.stringify(join(place.folder, "containerd"))}
state = ${JSON.stringify(join(place.folder, "run/containerd"))}
oom_score = 0
disabled_plugins = ${JSON.stringify(disabled)}
[grpc]
  address = ${JSON.stringify(containerdSocket(place.folder))}
[${cri}]
  sandbox_image = "${PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  stream_server_address = "${place.address}"
[${cri}.cni]
  bin_dir = ${JSON.stringify(join(place.debianRoot, "usr/lib/cni"))}
  conf_dir = ${JSON.stringify(join(place.folder, "network"))}
[${cri}.containerd]
  default_runtime_name = "runc"
[${cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[${cri}.containerd.runtimes.runc.options]
  SystemdCgroup = false
  BinaryName = ${JSON.stringify(join(place.debianRoot, "usr/sbin/runc"))}
`;
}

export function containerdSocket(folder: string): string {
  return join(folder, "run/containerd.sock");
}

/** A bridge that reaches this machine and the node's other pods, and nothing else. */
export function networkConfig(place: NodePlace): string {
  const ipam = {
    type: "host-local",
    ranges: [[{ subnet: place.podSubnet }]],
    dataDir: join(place.folder, "run/addresses"),
    routes: [{ dst: "0.0.0.0/0" }],
  };
  const plugins = [{ type: "bridge", bridge: place.bridge, isGateway: true, ipMasq: false, ipam }];
  return JSON.stringify({ cniVersion: "0.4.0", name: "pods", plugins });
}

export interface KubeletTrust {
  readonly serving: CertificateFiles;
  /** Of the authority that signed what the API server shows. */
  readonly authority: string;
}

/**
 * @param reservedMiB taken off what pods may ask for and use
 * @param taints of the node from its first moment
 */
export function kubeletConfig(
  place: NodePlace,
  trust: KubeletTrust,
  reservedMiB: number,
  taints: readonly V1Taint[],
): string {
  return stringify({
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    address: place.address,
    port: KUBELET_PORT,
    healthzPort: 0,
    tlsCertFile: trust.serving.certificate,
    tlsPrivateKeyFile: trust.serving.key,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: false },
      x509: { clientCAFile: trust.authority },
    },
    authorization: { mode: "AlwaysAllow" },
    containerRuntimeEndpoint: `unix://${containerdSocket(place.folder)}`,
    cgroupDriver: "cgroupfs",
    cgroupRoot: `/${place.controlGroup}`,
    failCgroupV1: false,
    failSwapOn: false,
    oomScoreAdj: 0,
    enforceNodeAllocatable: ["pods"],
    registerWithTaints: taints,
    systemReserved: { memory: `${String(reservedMiB)}Mi` },
    makeIPTablesUtilChains: false,
    // the disk is the whole machine's, and other work fills it
    evictionHard: {
      "memory.available": "1Mi",
      "nodefs.available": "0%",
      "nodefs.inodesFree": "0%",
      "imagefs.available": "0%",
      "imagefs.inodesFree": "0%",
    },
    imageGCHighThresholdPercent: 100,
    podLogsDir: join(place.folder, "podlogs"),
    resolvConf: "",
    nodeStatusUpdateFrequency: "2s",
    nodeStatusReportFrequency: "10s",
    syncFrequency: "10s",
    nodeLeaseDurationSeconds: 10,
    maxPods: 50,
    volumePluginDir: join(place.folder, "volumeplugins"),
    // forgives settings and scores that a machine which is itself a container does not let change
    featureGates: { KubeletInUserNamespace: true },
  });
}
