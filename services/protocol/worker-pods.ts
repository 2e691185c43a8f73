/** From the pod template of an API's owner and the API's spec to the template that a version keeps. */
import type {
  V1Container,
  V1EnvVar,
  V1PodSpec,
  V1PodTemplateSpec,
  V1Probe,
  V1ResourceRequirements,
  V1SecurityContext,
  V1Volume,
} from "@kubernetes/client-node";
import type { ApiSpec, ComputeSpec, ContainerHandlerSpec, ContainerSpec, ProbeSpec } from "./api-spec.ts";
import { JOB_FILE } from "./environment.ts";

/** The fields of a class of the Kubernetes client: what a literal needs to have. */
export type Literal<T> = Pick<T, keyof T>;

/** Name of the container that runs Millrace's worker; others in the template are the user's. */
export const WORKER_CONTAINER = "worker";
/** Name of the init container that writes the job's file for the user's containers: the worker's program, told of its job. */
export const JOB_FILE_CONTAINER = "job-file";

/** The spec and the template do not go together; the message names what to change. */
export class PodTemplateUnfit extends Error {
  override readonly name = "PodTemplateUnfit";
}

const SHARED_FOLDER = "/mnt";
const JOB_FILE_VOLUME = "millrace-job-file";
const SHARED_VOLUME = "millrace-shared";
/** What NVIDIA's device plugin calls a GPU of a node. */
export const GPU_RESOURCE = "nvidia.com/gpu";

/**
 * What the workers of an API's version run in. Of a Python API: the template, with the spec's `compute` on its worker. Of
 * containers: these as well, as native sidecars (they start before the worker, end after it, and do not keep the Job alive),
 * with `job.json` written before them. What the template says itself is never changed. Pure; throws `PodTemplateUnfit`.
 */
export function workerPods(spec: ApiSpec, template: Literal<V1PodTemplateSpec>): V1PodTemplateSpec {
  const pod: Literal<V1PodSpec> | undefined = template.spec;
  const worker: Literal<V1Container> | undefined = pod?.containers.find(({ name }) => name === WORKER_CONTAINER);
  if (pod === undefined || worker === undefined) {
    throw new PodTemplateUnfit(`the pod template has no container named "${WORKER_CONTAINER}"; name the worker's so`);
  }
  if (spec.handler.kind === "container") {
    return { ...template, spec: withSidecars(spec, spec.handler, pod, worker) };
  }
  const sized = { ...worker, resources: withCompute(worker.resources, spec.compute, true) };
  return { ...template, spec: { ...pod, containers: pod.containers.map((each) => (each === worker ? sized : each)) } };
}

function withSidecars(
  spec: ApiSpec,
  handler: ContainerHandlerSpec,
  pod: Literal<V1PodSpec>,
  worker: Literal<V1Container>,
): V1PodSpec {
  const before = pod.initContainers ?? [];
  const taken = new Set([...pod.containers, ...before].map(({ name }) => name));
  const both = handler.containers.find(({ name }) => taken.has(name));
  if (both !== undefined) {
    throw new PodTemplateUnfit(`pod.containers: "${both.name}" is a container of the pod template as well; rename it`);
  }
  const bounds = boundsOf(worker.securityContext);
  const sidecars = handler.containers.map((container) => sidecar(spec, handler.port, container, bounds));
  return {
    ...pod,
    initContainers: [...before, jobFileContainer(worker), ...sidecars],
    volumes: [...(pod.volumes ?? []), ...volumesOf(handler)],
  };
}

/** The worker's own program with one argument more; its generation tells it which job, as it tells the worker. */
function jobFileContainer(worker: Literal<V1Container>): V1Container {
  const { image, imagePullPolicy, command, args, env = [], envFrom, volumeMounts = [], securityContext } = worker;
  return {
    name: JOB_FILE_CONTAINER,
    ...(image === undefined ? {} : { image }),
    ...(imagePullPolicy === undefined ? {} : { imagePullPolicy }),
    ...(command === undefined ? {} : { command }),
    ...(envFrom === undefined ? {} : { envFrom }),
    ...(securityContext === undefined ? {} : { securityContext }),
    args: [...(args ?? []), JOB_FILE.task],
    env,
    volumeMounts: [...volumeMounts, { name: JOB_FILE_VOLUME, mountPath: JOB_FILE.folder }],
  };
}

/** What the worker may not do its neighbours may not either: a namespace that enforces it refuses the whole pod otherwise. */
function boundsOf(own: Literal<V1SecurityContext> | undefined): Literal<V1SecurityContext> | undefined {
  if (own === undefined) return undefined;
  const { allowPrivilegeEscalation, capabilities } = own; // a root that one cannot write to is for whoever built the image
  return {
    ...(allowPrivilegeEscalation === undefined ? {} : { allowPrivilegeEscalation }),
    ...(capabilities === undefined ? {} : { capabilities }),
  };
}

function sidecar(
  spec: ApiSpec,
  port: number,
  container: ContainerSpec,
  bounds: Literal<V1SecurityContext> | undefined,
): V1Container {
  const { name, image, command, args, compute, liveness_probe: liveness } = container;
  const env: V1EnvVar[] = [
    { name: "CORTEX_PORT", value: String(port) },
    { name: "CORTEX_VERSION", value: `${spec.cortex_dialect}.0` },
    ...Object.entries(container.env).map(([variable, value]) => ({ name: variable, value })),
  ];
  const volumeMounts = [
    { name: JOB_FILE_VOLUME, mountPath: JOB_FILE.folder, readOnly: true },
    { name: SHARED_VOLUME, mountPath: SHARED_FOLDER },
    ...(compute.shm === null ? [] : [{ name: shmVolume(name), mountPath: "/dev/shm" }]),
  ];
  return {
    name,
    image,
    restartPolicy: "Always",
    ...(command === null ? {} : { command: [...command] }),
    ...(args === null ? {} : { args: [...args] }),
    env,
    ...(bounds === undefined ? {} : { securityContext: bounds }),
    // In the predecessor `mem` placed the pod and bounded nothing: its users' containers may need more than they say.
    resources: withCompute(undefined, compute, !spec.cortex_project),
    ...(liveness === null ? {} : { livenessProbe: probeOf(liveness) }),
    volumeMounts,
  };
}

function volumesOf({ containers }: ContainerHandlerSpec): V1Volume[] {
  const shared = containers.flatMap(({ name, compute: { shm } }) => {
    return shm === null ? [] : [{ name: shmVolume(name), emptyDir: { medium: "Memory", sizeLimit: shm } }];
  });
  return [{ name: JOB_FILE_VOLUME, emptyDir: {} }, { name: SHARED_VOLUME, emptyDir: {} }, ...shared];
}

/** A volume's name is a DNS label of at most 63 characters, as a container's is. */
function shmVolume(container: string): string {
  return `shm-${container}`.slice(0, 63).replace(/-+$/, "");
}

/** `memoryBound`: what asks for memory gets that much and no more. CPUs and GPUs: the CPUs are a share, the GPUs its own. */
function withCompute(
  given: Literal<V1ResourceRequirements> | undefined,
  { cpu, mem, gpu }: ComputeSpec,
  memoryBound: boolean,
): V1ResourceRequirements {
  const gpus = gpu === 0 ? {} : { [GPU_RESOURCE]: String(gpu) };
  const requests = {
    ...(cpu === null ? {} : { cpu }),
    ...(mem === null ? {} : { memory: mem }),
    ...gpus,
    ...given?.requests,
  };
  const limits = { ...(mem === null || !memoryBound ? {} : { memory: mem }), ...gpus, ...given?.limits };
  return {
    ...given,
    ...(Object.keys(requests).length === 0 ? {} : { requests }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
  };
}

function probeOf(probe: ProbeSpec): V1Probe {
  const { check } = probe;
  const action: Literal<V1Probe> =
    check.kind === "exec"
      ? { exec: { command: [...check.command] } }
      : check.kind === "http_get"
        ? { httpGet: { path: check.path, port: check.port } }
        : { tcpSocket: { port: check.port } };
  return {
    ...action,
    initialDelaySeconds: probe.initial_delay_seconds,
    timeoutSeconds: probe.timeout_seconds,
    periodSeconds: probe.period_seconds,
    successThreshold: probe.success_threshold,
    failureThreshold: probe.failure_threshold,
  };
}
