import { describe, expect, it } from "vitest";
import { BatchApi } from "../../components/batch-api.ts";
import { aProject } from "./support/a-project.ts";
import { adoptedCluster, anApi, IMAGES, podOf, serviceEnv } from "./support/an-api.ts";
import { render, UNKNOWN } from "./support/render.ts";

const OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2";
const DEPLOYMENT = "kubernetes:apps/v1:Deployment";
const POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy";
const KEY = { name: "pipeline", sha256: "a".repeat(64), scopes: ["submit"] as const };
const APIS_BY_KEY = { kind: "apiKeys", keys: [KEY] } as const;

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

  it("may host so many further APIs as it is told", async () => {
    const stack = await anApi({ createApis: { namesMax: 5 } });

    expect(serviceEnv(stack)).toMatchObject({ MILLRACE_CREATE_APIS_MAX: "5" });
  });

  it("tells its service how long results and records are kept, and nothing where nothing is said", async () => {
    const kept = async (retention?: { resultsDays?: number | "forever"; recordsDays?: number | "forever" }) => {
      const env = serviceEnv(await anApi(retention === undefined ? {} : { retention }));
      return [env.MILLRACE_RETENTION_RESULTS_DAYS, env.MILLRACE_RETENTION_RECORDS_DAYS];
    };

    expect(await kept()).toEqual([undefined, undefined]);
    expect(await kept({ resultsDays: 7 })).toEqual(["7", undefined]);
    expect(await kept({ resultsDays: "forever", recordsDays: "forever" })).toEqual(["forever", "forever"]);
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
      const cluster = adoptedCluster();
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
