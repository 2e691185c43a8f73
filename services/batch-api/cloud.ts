/** The service in a cluster: S3, SQS, CloudWatch Logs and Kubernetes, and any number of replicas beside each other. */
import { KubeConfig } from "@kubernetes/client-node";
import type { Logger } from "pino";
import { SqsQueue } from "../backends/batch-queue.sqs.ts";
import type { Environment } from "../backends/cloud-config.ts";
import { realClock, realRandom } from "../backends/clock.real.ts";
import { datasetFor } from "../backends/dataset.by-scheme.ts";
import { S3Dataset } from "../backends/dataset.s3.ts";
import { SqsDeadLetters, sqsEndpointFrom } from "../backends/dead-letters.sqs.ts";
import { JobEnvironments } from "../backends/environments.kubernetes.ts";
import { CloudWatchLogStore } from "../backends/log-store.cloudwatch.ts";
import { S3Store } from "../backends/object-store.s3.ts";
import { s3AccessFrom } from "../backends/s3/s3-requests.ts";
import { KubernetesPool } from "../backends/worker-pool.kubernetes.ts";
import { ENV } from "../protocol/environment.ts";
import { apiKeys, queueLane } from "../protocol/keys.ts";
import { buildApp, buildHealthApp, type AppOptions } from "./app.ts";
import { openAuth, type Auth } from "./auth/open-auth.ts";
import { cloudCode } from "./cloud-code.ts";
import type { ServiceConfig } from "./config.ts";
import { HealthWatch } from "./health-watch.ts";
import { declaredTemplate, podSourceOf, podTemplateOf, workerEnvironmentOf } from "./pods.ts";
import type { App } from "./routes/door.ts";
import { buildService, type Service, type ServiceParts } from "./service.ts";

export interface CloudOptions {
  readonly config: ServiceConfig;
  /** The process's, for what the SDKs and the workers are told by it. */
  readonly environment: Environment;
  readonly logger: Logger;
  readonly version: string;
  /** The service cannot go on: its loops stand still. */
  readonly onFatal: (error: unknown) => void;
}

export interface CloudService {
  /** Jobs are left to other replicas, or to the next start. */
  stop(): Promise<void>;
}

/** A look costs a few paid requests; a job's end is told after some of them. */
const PACE: ServiceParts["pace"] = { tickMs: 1_000, tickMinMs: 200, tellMs: 2_000, busyMs: 1_000, idleMs: 15_000 };
/** What the janitor looks for is days old, and each look is paid. */
const TIDY_MS = 3600_000;
/** Half of what a service has to leave: the other half is for its last log lines. */
const DRAIN_SECONDS = 10;
/** Loops and doors of the service try on by themselves, or tell; a call that waited for minutes would hold them up. */
const ATTEMPTS_MAX = 20;

/**
 * Starts it. Throws `Misconfigured`, and what listening throws; what the service needs and does not get is told by its health,
 * and awaited.
 */
export async function startCloud(options: CloudOptions): Promise<CloudService> {
  const { config, logger } = options;
  const auth = await openAuth(config.auth, { clock: realClock, log: logger });
  const backends = openBackends(options);
  const { store, queue, pool, logs } = backends;
  const end = new AbortController();
  const code = cloudCode({ ...backends, config, logger, signal: end.signal });
  const service = buildService({
    ...backends,
    log: logger,
    readiness: (api, version) => code.environments.readiness(api, version),
    pace: PACE,
    ...{ only: config.api, owner: config.code },
    ...{ workersMax: config.workersMax, createApisMax: config.createApisMax },
    handlerKinds: ["python", "container"],
    janitor: { retention: config.retention, resultsSetting: ENV.resultsDays, pauseMs: TIDY_MS },
    replica: { id: realRandom.hex(8), lanes: config.laneUrls.length, alone: false, onFatal: options.onFatal },
  });
  const health = new HealthWatch(
    {
      "The store": () => store.list(apiKeys(config.api).root, { limit: 1 }),
      "The cluster": () => pool.probe(),
      ...Object.fromEntries(
        config.laneUrls.map((_, lane) => [`Lane ${String(lane)}`, () => queue.probe(queueLane(config.api, lane))]),
      ),
    },
    realClock,
    logger,
  );
  const doors = await openDoors(options, service, health, auth);
  const running = service.replica.run(end.signal).catch(() => undefined); // ends only by our own signal
  const tidying = service.janitor.run(end.signal).catch((error: unknown) => {
    if (!end.signal.aborted) options.onFatal(error); // the store is broken
  });
  const watching = health.run(end.signal).catch(() => undefined); // likewise
  const keeping = auth.run(end.signal).catch(() => undefined); // likewise
  const watchingCode = code.watch.run(end.signal).catch(() => undefined); // likewise
  return {
    async stop() {
      const closed = Promise.all(doors.map((app) => app.close()));
      end.abort();
      await Promise.all([running, tidying, watching, keeping, watchingCode]);
      await service.replica.drained();
      await closed; // its last answers may need what follows
      await pool.close();
      await Promise.all([logs.close(), backends.deadLetters.close()]);
    },
  };
}

function openBackends({ config, environment, logger }: CloudOptions) {
  const { api, bucket, laneUrls, leaseSeconds, logGroup, namespace, region } = config;
  const clocks = { clock: realClock, random: realRandom };
  const access = { ...s3AccessFrom(environment), region };
  const say = (sentence: string) => {
    logger.warn(sentence);
  };
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromDefault();
  const seconds = leaseSeconds / 3;
  const budget = {
    ...{ attemptsMax: ATTEMPTS_MAX, seconds },
    ...{ credentialsSeconds: seconds, firstCredentialsSeconds: seconds },
  };
  const store = new S3Store({ ...clocks, bucket, access, budget, say });
  const declared = declaredTemplate(kubeConfig, namespace, config.podTemplate);
  const workerEnvironment = workerEnvironmentOf(config, environment);
  return {
    store,
    queue: new SqsQueue({ ...clocks, queueUrls: laneUrls, leaseSeconds, region, onNotice: say }),
    pool: new KubernetesPool({
      ...{ ...clocks, namespace, kubeConfig, log: say },
      podSource: podSourceOf(store),
      workerEnvironment: () => workerEnvironment,
    }),
    logs: new CloudWatchLogStore({ ...clocks, group: logGroup, region, say }),
    deadLetters: new SqsDeadLetters({ ...clocks, ...sqsEndpointFrom(environment) }),
    dataset: datasetFor({ s3: new S3Dataset({ ...clocks, ...access, budget, say }) }),
    declared,
    podTemplate: podTemplateOf(declared),
    environments: new JobEnvironments({
      ...{ ...clocks, api, store, namespace, kubeConfig, workerEnvironment },
      podTemplate: async () => (await declared()).template,
      ...(config.builderServiceAccount === undefined ? {} : { serviceAccount: config.builderServiceAccount }),
    }),
  };
}

async function openDoors(
  options: CloudOptions,
  service: Service,
  { readiness }: HealthWatch,
  { authenticator, host, hosts }: Auth,
): Promise<App[]> {
  const { config, version } = options;
  const { jobs, apis, metrics } = service;
  const door: AppOptions = {
    ...{ jobs, apis, metrics, clock: realClock, random: realRandom, readiness, version, authenticator, hosts },
    // where others may be made here, the services know which names there are
    ...(config.createApisMax > 0 ? {} : { only: config.api }),
  };
  const app = await buildApp({ ...door, drainSeconds: DRAIN_SECONDS });
  await app.listen({ host, port: config.port });
  const healthApp = await buildHealthApp(door);
  await healthApp.listen({ host: "0.0.0.0", port: config.healthPort });
  return [app, healthApp];
}
