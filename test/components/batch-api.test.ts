import { describe, expect, it } from "vitest";
import { BatchApi } from "../../components/batch-api.ts";
import type { BatchApiArgs } from "../../components/batch-api-args.ts";
import type { BatchCluster } from "../../components/batch-cluster.ts";
import { CpuNodeGroup } from "../../components/cpu-node-group.ts";
import { GpuNodeGroup } from "../../components/gpu-node-group.ts";
import { aCluster, EXISTING } from "./support/a-cluster.ts";
import { aProject } from "./support/a-project.ts";
import { render, UNKNOWN, type RenderedStack } from "./support/render.ts";

const OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2";
const DEPLOYMENT = "kubernetes:apps/v1:Deployment";
const TEMPLATE = "kubernetes:core/v1:PodTemplate";
const POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy";
const DIGEST = `sha256:${"d".repeat(64)}`;
const IMAGES = { service: `registry.example/service@${DIGEST}`, worker: `registry.example/worker@${DIGEST}` };
const KEY = { name: "pipeline", sha256: "a".repeat(64), scopes: ["submit"] as const };
const APIS_BY_KEY = { kind: "apiKeys", keys: [KEY] } as const;

type Given = Partial<Omit<BatchApiArgs, "cluster">>;
interface Around {
  readonly cluster: BatchCluster;
  readonly gpus: GpuNodeGroup;
  readonly cpus: CpuNodeGroup;
}

/** An API "words" of a small project (or of what is given), in a cluster with a group of each kind. */
function anApi(given: Given | ((around: Around) => Given) = {}, options: { readonly preview?: boolean } = {}) {
  const path = aProject("words");
  return render(() => {
    const cluster = aCluster({
      kubernetesVersion: "1.35",
      existing: { ...EXISTING, systemAutoScalingGroupName: "eks-services" },
    });
    const gpus = new GpuNodeGroup("gpus", { cluster, instanceTypes: ["g6.xlarge"], nodesMax: 2 });
    const cpus = new CpuNodeGroup("cpus", { cluster, instanceTypes: ["c7i.xlarge"], nodesMax: 2 });
    const own = typeof given === "function" ? given({ cluster, gpus, cpus }) : given;
    const api = new BatchApi("words", { cluster, code: { kind: "project", path }, image: IMAGES, ...own });
    const { endpoint, connect, bucket, logGroup, version } = api;
    return { endpoint, connect, bucket, logGroup, version };
  }, options);
}

function podOf(stack: RenderedStack) {
  return (stack.one(TEMPLATE).inputs.template as { readonly spec: Record<string, unknown> }).spec;
}

function serviceEnv(stack: RenderedStack): Readonly<Record<string, unknown>> {
  const { spec } = stack.one(DEPLOYMENT, "words-service").inputs as {
    spec: { template: { spec: { containers: [{ env: readonly { name: string; value: unknown }[] }] } } };
  };
  return Object.fromEntries(spec.template.spec.containers[0].env.map(({ name, value }) => [name, value]));
}

describe("BatchApi", () => {
  it("tells its service where everything is", async () => {
    const stack = await anApi({ concurrentJobsMax: 2, workersMax: 7 });

    const queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/words-queue-lane";
    expect(serviceEnv(stack)).toEqual({
      AWS_REGION: "eu-west-1",
      MILLRACE_API: "words",
      MILLRACE_STORE: "s3://batch-store-bucket-1234567",
      MILLRACE_LANES: `${queue}-0-1234567,${queue}-1-1234567`,
      MILLRACE_LOG_GROUP: "words-log-group-logs-1234567",
      MILLRACE_NAMESPACE: "batch-words",
      MILLRACE_POD_TEMPLATE: "workers",
      MILLRACE_BUILDER_SERVICE_ACCOUNT: "builder",
      MILLRACE_WORKERS_MAX: "7",
      MILLRACE_CODE: "pinned:acme/millrace/test",
    });
    expect(stack.outputs).toMatchObject({
      connect: "millrace connect words --namespace batch-words",
      bucket: "batch-store-bucket-1234567",
      logGroup: "words-log-group-logs-1234567",
    });
  });

  it("rolls two replicas without one being missing, and each within the strictest pod security", async () => {
    const stack = await anApi();

    const { spec } = stack.one(DEPLOYMENT, "words-service").inputs as { spec: Record<string, unknown> };
    expect(spec).toMatchObject({
      replicas: 2,
      minReadySeconds: 60,
      strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
    });
    const pod = (spec.template as { spec: Record<string, unknown> }).spec;
    expect(pod).toMatchObject({
      serviceAccountName: "service",
      securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
      terminationGracePeriodSeconds: 40,
      containers: [
        {
          image: IMAGES.service,
          resources: { requests: { cpu: "100m", memory: "256Mi" }, limits: { memory: "1Gi" } },
          livenessProbe: { httpGet: { path: "/health/live", port: "health" } },
          readinessProbe: { httpGet: { path: "/health/ready", port: "health" } },
          securityContext: {
            ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true },
            capabilities: { drop: ["ALL"] },
          },
        },
      ],
    });
    const namespace = stack.one("kubernetes:core/v1:Namespace").inputs;
    expect(namespace).toMatchObject({
      metadata: { name: "batch-words", labels: { "pod-security.kubernetes.io/enforce": "restricted" } },
    });
    expect(stack.one("kubernetes:policy/v1:PodDisruptionBudget").inputs).toMatchObject({ spec: { maxUnavailable: 1 } });
  });

  it("lets nobody talk to workers, and no pod to its node's metadata", async () => {
    const stack = await anApi();

    expect(stack.one(POLICY, "words-network").inputs.spec).toEqual({
      podSelector: {},
      policyTypes: ["Ingress", "Egress"],
      ingress: [],
      egress: [
        {
          to: [
            { ipBlock: { cidr: "0.0.0.0/0", except: ["169.254.169.254/32"] } },
            { ipBlock: { cidr: "::/0", except: ["fd00:ec2::254/128"] } },
          ],
        },
      ],
    });
    expect(stack.one(POLICY, "words-service-network").inputs.spec).toMatchObject({
      podSelector: { matchLabels: { "app.kubernetes.io/name": "millrace-service", "millrace/api": "words" } },
      ingress: [{ ports: [{ port: 8878 }] }],
    });
  });

  it("opens the doors to callers in the cluster once it knows who they are", async () => {
    const stack = await anApi({ auth: APIS_BY_KEY });

    expect(stack.outputs.endpoint).toBe("http://service.batch-words.svc:8877");
    expect(stack.one(POLICY, "words-service-network").inputs.spec).toMatchObject({
      ingress: [{ ports: [{ port: 8878 }, { port: 8877 }] }],
    });
    expect(serviceEnv(stack)).toMatchObject({
      MILLRACE_AUTH: '{"kind":"apiKeys"}',
      MILLRACE_API_KEYS_FILE: "/etc/millrace/api-keys",
    });
    const secret = stack.one("kubernetes:core/v1:Secret", "words-api-keys");
    expect(secret.inputs.stringData).toEqual({
      "api-keys": `{"name":"pipeline","sha256":"${"a".repeat(64)}","scopes":["submit"]}\n`,
    });
    expect(secret.secrets).toEqual(["stringData"]);
  });

  it("gives workers no rights in Kubernetes, and the service only those that it uses", async () => {
    const stack = await anApi();

    const accounts = stack.ofType("kubernetes:core/v1:ServiceAccount").map(({ inputs }) => inputs);
    expect(accounts).toMatchObject([
      { metadata: { name: "service", namespace: "batch-words" }, automountServiceAccountToken: true },
      { metadata: { name: "worker" }, automountServiceAccountToken: false },
      { metadata: { name: "builder" }, automountServiceAccountToken: false },
    ]);
    expect(podOf(stack)).toMatchObject({ serviceAccountName: "worker", automountServiceAccountToken: false });
    expect(stack.one("kubernetes:rbac.authorization.k8s.io/v1:Role", "words-rights").inputs.rules).toEqual([
      { apiGroups: ["batch"], resources: ["jobs"], verbs: ["create", "get", "list", "watch", "patch", "delete"] },
      { apiGroups: [""], resources: ["pods"], verbs: ["list", "watch"] },
      { apiGroups: [""], resources: ["podtemplates"], verbs: ["get"] },
      { apiGroups: [""], resources: ["events"], verbs: ["list"] },
    ]);
  });

  it("runs workers on its groups alone, rather on the first", async () => {
    const stack = await anApi(({ cpus, gpus }) => ({ runsOn: [cpus, gpus] }));

    const { affinity, tolerations } = podOf(stack) as { affinity: unknown; tolerations: readonly unknown[] };
    const inGroups = (values: readonly string[]) => ({
      matchExpressions: [{ key: "millrace/node-group", operator: "In", values }],
    });
    expect(affinity).toEqual({
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [inGroups(["cpus", "gpus"])] },
        preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, preference: inGroups(["cpus"]) }],
      },
    });
    expect(tolerations).toEqual(
      expect.arrayContaining([
        { key: "nvidia.com/gpu", operator: "Equal", value: "present", effect: "NoSchedule" },
        { key: "millrace/workers", operator: "Equal", value: "present", effect: "NoSchedule" },
      ]),
    );
  });

  it("gives a pinned project a GPU on GPU nodes, unless it says otherwise", async () => {
    const silent = await anApi(({ gpus }) => ({ runsOn: [gpus] }));
    const none = await anApi(({ gpus }) => ({ runsOn: [gpus], compute: { gpus: 0 } }));

    expect(podOf(silent)).toMatchObject({
      containers: [{ resources: { requests: { "nvidia.com/gpu": "1" }, limits: { "nvidia.com/gpu": "1" } } }],
    });
    expect(podOf(none)).toMatchObject({ containers: [{ resources: {} }] });
  });

  it("bounds a worker's memory, and not its processors", async () => {
    const stack = await anApi({ compute: { cpu: "1500m", memory: "3Gi", sharedMemory: "1Gi" } });

    expect(podOf(stack)).toMatchObject({
      containers: [
        {
          resources: { requests: { cpu: "1500m", memory: "3Gi" }, limits: { memory: "3Gi" } },
          volumeMounts: [{ mountPath: "/tmp" }, { mountPath: "/dev/shm" }],
        },
      ],
      volumes: [{ emptyDir: {} }, { emptyDir: { medium: "Memory", sizeLimit: "1Gi" } }],
    });
  });

  it("keeps secrets out of the pods' description, and of the store", async () => {
    const stack = await anApi({ env: { MODE: "fast" }, secrets: { TOKEN: "very secret" } });

    const [worker] = (podOf(stack) as { containers: readonly Record<string, unknown>[] }).containers;
    expect(worker).toMatchObject({
      env: [{ name: "MODE", value: "fast" }],
      envFrom: [{ secretRef: { name: "worker-environment" } }],
    });
    expect(stack.one("kubernetes:core/v1:Secret", "words-secrets").secrets).toEqual(["stringData"]);
    const elsewhere = stack.resources.filter(({ name }) => name !== "words-secrets");
    expect(JSON.stringify(elsewhere.map(({ inputs }) => inputs))).not.toContain("very secret");
  });

  it("writes code and version before the service rolls, and makes it current after", async () => {
    const stack = await anApi();

    const archive = stack.one(OBJECT, "words-project-archive");
    const version = stack.one(OBJECT, "words-project-version");
    const current = stack.one(OBJECT, "words-current");
    expect(archive.inputs.key).toMatch(/^apis\/words\/projects\/[0-9a-f]{64}\.tar\.gz$/);
    expect(version.inputs.key).toBe(`apis/words/versions/${String(stack.outputs.version)}.json`);
    expect(current.inputs).toMatchObject({
      key: "apis/words/current.json",
      content: JSON.stringify({ version: stack.outputs.version, generation: 0 }),
    });
    for (const object of [archive, version, current]) expect(object.retainOnDelete).toBe(true);
    expect(current.dependsOn).toEqual(
      expect.arrayContaining([stack.one(DEPLOYMENT, "words-service").urn, archive.urn, version.urn]),
    );
    const stored = JSON.parse(String(version.inputs.content)) as { pod_template: { spec: unknown }; project: string };
    expect(stored.pod_template.spec).toEqual(podOf(stack));
    expect(archive.inputs.key).toContain(stored.project);
  });

  it("changes a project's spec for this stack", async () => {
    const stack = await anApi({ overrides: { workers: 9, config: { mode: "fast" }, batchTimeoutSeconds: 60 } });

    const stored = JSON.parse(String(stack.one(OBJECT, "words-project-version").inputs.content)) as { spec: unknown };
    expect(stored.spec).toMatchObject({ workers: 9, config: { mode: "fast" }, batch_timeout_seconds: 60 });
  });

  it("leaves deployed code alone", async () => {
    const stack = await anApi({ code: { kind: "deployed" } });

    expect(stack.ofType(OBJECT)).toEqual([]);
    expect(serviceEnv(stack)).toMatchObject({ MILLRACE_CODE: "deployed" });
    expect(stack.outputs.version).toBeUndefined();
  });

  it("has a balancer for the networks it names, to the system nodes, by TLS alone", async () => {
    const certificateArn = "arn:aws:acm:eu-west-1:123456789012:certificate/c";
    const ingress = { kind: "loadBalancer", scheme: "internal", certificateArn, cidrs: ["10.1.0.0/16"] } as const;

    const stack = await anApi({ auth: APIS_BY_KEY, ingress: { ...ingress, hostname: "words.acme.example" } });

    expect(stack.one("aws:lb/loadBalancer:LoadBalancer").inputs).toMatchObject({
      internal: true,
      idleTimeout: 300,
      dropInvalidHeaderFields: true,
    });
    expect(stack.one("aws:lb/listener:Listener").inputs).toMatchObject({
      port: 443,
      protocol: "HTTPS",
      certificateArn,
    });
    expect(stack.one("aws:lb/targetGroup:TargetGroup").inputs).toMatchObject({
      port: 31_000,
      healthCheck: { path: "/health/live", port: "31001" },
    });
    expect(stack.one("aws:autoscaling/attachment:Attachment").inputs.autoscalingGroupName).toBe("eks-services");
    const rules = stack.ofType("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule").map(({ inputs }) => inputs);
    expect(rules).toMatchObject([
      { cidrIpv4: "10.1.0.0/16", fromPort: 443, toPort: 443 },
      { securityGroupId: "sg-acme", fromPort: 31_000 },
      { securityGroupId: "sg-acme", fromPort: 31_001 },
    ]);
    expect(stack.one("kubernetes:core/v1:Service").inputs).toMatchObject({ spec: { type: "NodePort" } });
    expect(stack.outputs).toMatchObject({
      endpoint: "https://words.acme.example",
      connect: "millrace context add words --address https://words.acme.example",
    });
  });

  it("is previewed with everything unknown that a cloud computes", async () => {
    const stack = await anApi(({ gpus }) => ({ runsOn: [gpus], reads: ["s3://acme-photos/2026/"] }), { preview: true });

    expect(stack.outputs.logGroup).toBe(UNKNOWN);
    expect(stack.one(OBJECT, "words-current").inputs.key).toBe("apis/words/current.json");
  });

  it("stands beside others in one cluster and store", async () => {
    const [words, digits] = [aProject("words"), aProject("digits")];

    const stack = await render(() => {
      const cluster = aCluster({
        kubernetesVersion: "1.35",
        existing: { ...EXISTING, systemAutoScalingGroupName: "eks-services" },
      });
      new BatchApi("words", { cluster, code: { kind: "project", path: words } });
      new BatchApi("digits", { cluster, code: { kind: "project", path: digits } });
    });

    expect(stack.ofType("millrace:index:BatchApi")).toHaveLength(2);
    expect(stack.ofType("docker-build:index:Image").map(({ name }) => name)).toEqual([
      "batch-worker-amd64-image",
      "batch-service-amd64-image",
    ]);
    expect(new Set(stack.resources.map(({ urn }) => urn)).size).toBe(stack.resources.length);
  });
});
