import type { KubeConfig, V1Container, V1PodSpec } from "@kubernetes/client-node";
import { realClock, realRandom } from "../../../services/backends/clock.real.ts";
import { KubernetesPool, type KubernetesPoolOptions } from "../../../services/backends/worker-pool.kubernetes.ts";
import type { PoolWorker } from "../../../services/backends/worker-pool.ts";
import { BUSYBOX_IMAGE } from "../support/cluster.ts";

export const NAME = { api: "photos", job: "00000000000000aa", lane: 1, epoch: 2, generation: 0 };

/** Leaves when asked, as a drained worker does. */
export const POLITE = "trap 'exit 75' TERM; while true; do /bin/busybox sleep 0.1; done";

export interface PoolShape {
  readonly service: KubeConfig;
  readonly namespace: string;
  /** Run by a shell in the worker container. */
  readonly script?: string;
  readonly graceSeconds?: number;
  readonly container?: Partial<V1Container>;
  readonly pod?: Partial<V1PodSpec>;
  readonly options?: Partial<KubernetesPoolOptions>;
}

/** A pool whose workers are shell scripts. */
export function aPool(shape: PoolShape): KubernetesPool {
  const { service, namespace, script = POLITE, graceSeconds = 10, container, pod, options } = shape;
  const worker: V1Container = {
    name: "worker",
    image: BUSYBOX_IMAGE,
    imagePullPolicy: "Never",
    args: [script],
    resources: { requests: { cpu: "10m", memory: "16Mi" }, limits: { memory: "64Mi" } },
    ...container,
  };
  const spec: V1PodSpec = { terminationGracePeriodSeconds: graceSeconds, containers: [worker], ...pod };
  return new KubernetesPool({
    namespace,
    kubeConfig: service,
    clock: realClock,
    random: realRandom,
    podSource: async () => ({ podTemplate: { spec }, deadlineSeconds: 600 }),
    workerEnvironment: () => ({}),
    ...options,
  });
}

/** The workers of the epoch, once they are as asked; what they were last stands in the error of a test that waits too long. */
export async function whenWorkers(
  pool: KubernetesPool,
  holds: (workers: readonly PoolWorker[]) => boolean,
  seconds = 60,
  job = NAME.job,
): Promise<readonly PoolWorker[]> {
  const untilMs = realClock.monotonicMs() + 1000 * seconds;
  for (;;) {
    const workers = await pool.workers(job, NAME.epoch);
    if (holds(workers)) return workers;
    if (realClock.monotonicMs() > untilMs) throw new Error(`workers are not as awaited: ${JSON.stringify(workers)}`);
    await realClock.sleep(100);
  }
}

export function isRunning({ phase }: PoolWorker): boolean {
  return phase === "running";
}
