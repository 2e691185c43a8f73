/** A real Kubernetes control plane on this machine: etcd, API server, controller manager and scheduler, on loopback alone. */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CoreV1Api, Health, KubeConfig, type User } from "@kubernetes/client-node";
import { CertificateAuthority } from "./certificates.ts";
import { awaitWith, startProcess, type ClusterProcess } from "./cluster-process.ts";
import { freePorts } from "./loopback.ts";
import { startReaper, type Reaper } from "./reaper.ts";
import { ensureBinary } from "./servers-cache.ts";

/** A cloud cluster notices a dead node after 40 s and replaces its pods after 300 s more; a test has no such time. */
const NODE_LOST_AFTER_SECONDS = 8;
const TOLERATION_SECONDS = 2;
const JOB_BACKOFF = "1s";
const TOKEN_SECONDS = 24 * 3600;

export interface ControlPlanePrograms {
  /** Path of etcd. */
  readonly etcd: string;
  /** Path of the one program that is kube-apiserver, kube-controller-manager, kube-scheduler, kubelet and kubectl. */
  readonly kubernetes: string;
}

export interface ControlPlaneOptions {
  /** Default: those of the cache of test servers, built when missing. */
  readonly programs?: ControlPlanePrograms;
  /** Added to the API server's arguments; of one given twice the last counts. */
  readonly apiServerArgs?: readonly string[];
  readonly controllerManagerArgs?: readonly string[];
}

/**
 * Owns the processes, the certificates and a folder. Authorization is RBAC, admission includes Pod Security and
 * NodeRestriction.
 *
 *     const plane = await ControlPlane.start();
 *     const jobs = plane.admin.makeApiClient(BatchV1Api);
 *     await plane.stop();
 */
export class ControlPlane {
  /** Short and unlike any other cluster's; part of the names of what the cluster puts on this machine. */
  readonly id: string;
  /** All state of the cluster; removed by `stop`. */
  readonly folder: string;
  readonly programs: ControlPlanePrograms;
  readonly authority: CertificateAuthority;
  /** Port of the API server, on 127.0.0.1. */
  readonly port: number;
  /** May do everything. */
  readonly admin: KubeConfig;
  private readonly reaper: Reaper;
  private readonly options: ControlPlaneOptions;
  private readonly etcdPorts: readonly [number, number];
  private readonly processes = new Map<string, ClusterProcess>();

  private constructor(
    place: Pick<ControlPlane, "id" | "folder" | "programs"> & { readonly reaper: Reaper },
    options: ControlPlaneOptions,
    authority: CertificateAuthority,
    [port = 0, etcdPort = 0, etcdPeerPort = 0]: readonly number[],
  ) {
    this.id = place.id;
    this.folder = place.folder;
    this.reaper = place.reaper;
    this.options = options;
    this.programs = place.programs;
    this.authority = authority;
    this.port = port;
    this.etcdPorts = [etcdPort, etcdPeerPort];
    this.admin = new KubeConfig();
  }

  /** @throws when a part does not come up, with the end of its log; nothing is left then. */
  static async start(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
    const programs = options.programs ?? (await programsOfCache());
    const id = randomBytes(3).toString("hex");
    const folder = mkdtempSync(join(tmpdir(), `millrace-cluster-${id}-`));
    const reaper = startReaper(folder, id);
    try {
      for (const part of ["pki", "logs", "kubeconfigs"]) mkdirSync(join(folder, part));
      const authority = await CertificateAuthority.create(join(folder, "pki"));
      const plane = new ControlPlane({ id, folder, programs, reaper }, options, authority, await freePorts(3));
      await plane.startAll().catch(async (error: unknown) => {
        await plane.endProcesses();
        throw error;
      });
      return plane;
    } catch (error) {
      await reaper.reap();
      throw error;
    }
  }

  /** Address of the API server. */
  get server(): string {
    return `https://127.0.0.1:${String(this.port)}`;
  }

  /** What acts as that service account, which must exist, with a token of its own as a pod would have. */
  async kubeConfigFor(serviceAccount: string, namespace: string): Promise<KubeConfig> {
    const { status } = await this.admin.makeApiClient(CoreV1Api).createNamespacedServiceAccountToken({
      name: serviceAccount,
      namespace,
      body: { spec: { audiences: [], expirationSeconds: TOKEN_SECONDS } },
    });
    if (status === undefined) throw new Error(`the API server gave no token for ${namespace}/${serviceAccount}`);
    return this.config({ name: serviceAccount, token: status.token ?? "" }, namespace);
  }

  /** What acts as that user, by a certificate. `server`: another way to the API server, as through a proxy. */
  async kubeConfigOfUser(user: string, group?: string, server = this.server): Promise<KubeConfig> {
    const name = user.replaceAll(":", "-");
    const subject = `${group === undefined ? "" : `/O=${group}`}/CN=${user}`;
    const { certificate, key } = await this.authority.issue({ name, subject, use: "client" });
    return this.config({ name: user, certFile: certificate, keyFile: key }, "default", server);
  }

  /** Path of a file that holds it, for a program. */
  writeKubeConfig(name: string, config: KubeConfig): string {
    const path = join(this.folder, "kubeconfigs", name);
    writeFileSync(path, config.exportConfig(), { mode: 0o600 });
    return path;
  }

  /** SIGKILL, by default, or a stop in good order: either way every watch is cut, and nobody is answered until it is started. */
  async stopApiServer(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    await this.processes.get("kube-apiserver")?.end(signal);
    this.processes.delete("kube-apiserver");
  }

  /** Resolves when it is ready. */
  async startApiServer(): Promise<void> {
    const health = new Health(this.admin);
    const started = [this.run("kube-apiserver", this.programs.kubernetes, this.apiServerArgs())];
    await awaitWith("the API server to be ready", started, () => health.readyz({}));
  }

  async restartApiServer(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    await this.stopApiServer(signal);
    await this.startApiServer();
  }

  /** Starts the API server where a test has left it stopped. */
  async restore(): Promise<void> {
    if (this.processes.get("kube-apiserver")?.hasEnded() !== false) await this.startApiServer();
  }

  /** Ends everything and removes the folder. */
  async stop(): Promise<void> {
    await this.endProcesses();
    await this.reaper.reap();
  }

  /** SIGKILL to all of it; the state stays until `stop`. */
  async endProcesses(): Promise<void> {
    // nothing of the state is kept, so none is asked to save it; etcd last, or the others fill their logs
    for (const one of [...this.processes.values()].reverse()) await one.end("SIGKILL");
    this.processes.clear();
  }

  private async startAll(): Promise<void> {
    await this.issueAll();
    this.run("etcd", this.programs.etcd, this.etcdArgs());
    await this.startApiServer();
    const [managerConfig, schedulerConfig] = await Promise.all(
      ["kube-controller-manager", "kube-scheduler"].map(async (part) =>
        this.writeKubeConfig(part, await this.kubeConfigOfUser(`system:${part}`)),
      ),
    );
    const manager = this.controllerManagerArgs(managerConfig ?? "");
    const scheduler = [`--kubeconfig=${schedulerConfig ?? ""}`, "--leader-elect=false", "--secure-port=0"];
    this.run("kube-controller-manager", this.programs.kubernetes, manager, { JOB_POD_FAILURE_BACKOFF: JOB_BACKOFF });
    this.run("kube-scheduler", this.programs.kubernetes, scheduler);
    const core = this.admin.makeApiClient(CoreV1Api);
    // made by the controller manager, so that it is at work once this is there
    await awaitWith("the default service account", [...this.processes.values()], () =>
      core.readNamespacedServiceAccount({ name: "default", namespace: "default" }),
    );
  }

  private async issueAll(): Promise<void> {
    const alternativeNames = ["IP:127.0.0.1", "DNS:localhost", "DNS:kubernetes", "DNS:kubernetes.default.svc"];
    const [admin] = await Promise.all([
      this.kubeConfigOfUser("admin", "system:masters"),
      this.authority.issue({ name: "apiserver", subject: "/CN=kube-apiserver", use: "server", alternativeNames }),
      this.authority.issue({ name: "to-kubelet", subject: "/O=system:masters/CN=kube-apiserver", use: "client" }),
    ]);
    this.admin.loadFromString(admin.exportConfig());
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    writeFileSync(this.pki("tokens.key"), privateKey.export({ type: "pkcs1", format: "pem" }));
  }

  private run(
    name: string,
    program: string,
    args: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): ClusterProcess {
    const all = program === this.programs.kubernetes ? [name, ...args] : args;
    const logFile = join(this.folder, "logs", `${name}.log`);
    const started = startProcess({ name, command: program, args: all, logFile, environment });
    this.processes.set(name, started);
    return started;
  }

  private config(user: User, namespace: string, server = this.server): KubeConfig {
    const config = new KubeConfig();
    config.loadFromOptions({
      clusters: [{ name: "test", server, caData: this.authority.trust(), skipTLSVerify: false }],
      users: [user],
      contexts: [{ name: "test", cluster: "test", user: user.name, namespace }],
      currentContext: "test",
    });
    return config;
  }

  private pki(file: string): string {
    return join(this.folder, "pki", file);
  }

  private etcdArgs(): string[] {
    const [client, peer] = this.etcdPorts.map((port) => `http://127.0.0.1:${String(port)}`);
    return [
      ...["--data-dir", join(this.folder, "etcd"), "--unsafe-no-fsync"],
      ...["--listen-client-urls", client ?? "", "--advertise-client-urls", client ?? ""],
      ...["--listen-peer-urls", peer ?? "", "--initial-advertise-peer-urls", peer ?? ""],
      ...["--initial-cluster", `default=${peer ?? ""}`],
    ];
  }

  private apiServerArgs(): string[] {
    return [
      `--etcd-servers=http://127.0.0.1:${String(this.etcdPorts[0])}`,
      "--bind-address=127.0.0.1",
      `--secure-port=${String(this.port)}`,
      "--advertise-address=127.0.0.1",
      "--endpoint-reconciler-type=none",
      `--tls-cert-file=${this.pki("apiserver.crt")}`,
      `--tls-private-key-file=${this.pki("apiserver.key")}`,
      `--client-ca-file=${this.authority.certificate}`,
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${this.pki("tokens.key")}`,
      `--service-account-signing-key-file=${this.pki("tokens.key")}`,
      "--authorization-mode=Node,RBAC",
      "--enable-admission-plugins=NodeRestriction",
      "--service-cluster-ip-range=10.0.0.0/24",
      "--allow-privileged=true",
      `--default-not-ready-toleration-seconds=${String(TOLERATION_SECONDS)}`,
      `--default-unreachable-toleration-seconds=${String(TOLERATION_SECONDS)}`,
      `--kubelet-client-certificate=${this.pki("to-kubelet.crt")}`,
      `--kubelet-client-key=${this.pki("to-kubelet.key")}`,
      `--kubelet-certificate-authority=${this.authority.certificate}`,
      "--kubelet-preferred-address-types=InternalIP",
      ...(this.options.apiServerArgs ?? []),
    ];
  }

  private controllerManagerArgs(kubeConfig: string): string[] {
    return [
      `--kubeconfig=${kubeConfig}`,
      "--leader-elect=false",
      "--secure-port=0",
      "--use-service-account-credentials=true",
      `--service-account-private-key-file=${this.pki("tokens.key")}`,
      `--root-ca-file=${this.authority.certificate}`,
      "--node-monitor-period=1s",
      `--node-monitor-grace-period=${String(NODE_LOST_AFTER_SECONDS)}s`,
      ...(this.options.controllerManagerArgs ?? []),
    ];
  }
}

async function programsOfCache(): Promise<ControlPlanePrograms> {
  return { etcd: await ensureBinary("etcd"), kubernetes: await ensureBinary("kubernetes") };
}
