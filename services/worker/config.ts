import { integerOf, isCloud, readCloudConfig, type CloudConfig, type Environment } from "../backends/cloud-config.ts";
import { ENV, Misconfigured } from "../protocol/environment.ts";
import { queueLane, workerName } from "../protocol/keys.ts";
import type { WorkerIdentity } from "./context.ts";

export interface WorkerConfig {
  readonly identity: WorkerIdentity;
  readonly incarnation: string;
  /** Folder that the worker may fill: unpacked projects and environments. */
  readonly scratch: string;
  readonly backends: LaptopPlace | CloudPlace;
}

/** A child of the service on this machine. */
export interface LaptopPlace {
  readonly kind: "laptop";
  /** The service's root folder. */
  readonly root: string;
  /** Unix socket of the service's queue. */
  readonly socket: string;
}

/** A pod, far from the service. */
export interface CloudPlace extends CloudConfig {
  readonly kind: "cloud";
  /** Seconds from SIGTERM to SIGKILL. */
  readonly graceSeconds: number;
}

/** Kubernetes' own default, for a pool that does not say. */
const GRACE_SECONDS = { default: 30, min: 1, max: 86_400 } as const;

/** Kubernetes sets it in the pods of an Indexed Job. */
const COMPLETION_INDEX = "JOB_COMPLETION_INDEX";
/** Hex digits of a pod's uid that tell the incarnations of an index apart. */
const UID_DIGITS = 8;

/** Throws `Misconfigured`, with every fault. */
export function readConfig(environment: Environment, random: () => string): WorkerConfig {
  const faults: string[] = [];
  const text = (name: string): string => {
    const value = environment[name] ?? "";
    if (value === "") faults.push(`${name} is not set; the pool that starts a worker sets it`);
    return value;
  };
  const count = (name: string): number => {
    const value = text(name);
    if (value !== "" && !/^\d+$/.test(value)) faults.push(`${name} is no whole number; the pool sets it to one`);
    return Number(value);
  };
  const place = { api: text(ENV.api), job: text(ENV.job), lane: count(ENV.lane), epoch: count(ENV.epoch) };
  const generation = count(ENV.generation);
  const cloud = isCloud(environment);
  const index = count(cloud ? COMPLETION_INDEX : ENV.index);
  const scratch = text(ENV.scratch);
  const backends: WorkerConfig["backends"] = cloud
    ? {
        kind: "cloud",
        ...readCloudConfig(environment, faults),
        graceSeconds: integerOf(environment, ENV.graceSeconds, GRACE_SECONDS, faults),
      }
    : { kind: "laptop", root: text(ENV.root), socket: text(ENV.socket) };
  if (faults.length > 0) throw new Misconfigured(faults.join("\n"));
  const incarnation = environment[ENV.incarnation] ?? incarnationOf(environment[ENV.podUid]) ?? random();
  const name = workerName(place.epoch, generation, index, incarnation);
  return {
    identity: { ...place, queueLane: queueLane(place.api, place.lane), generation, index, name },
    incarnation,
    scratch,
    backends,
  };
}

/** The pool names a pod's worker so too, see the Kubernetes pool. */
function incarnationOf(podUid: string | undefined): string | undefined {
  return podUid === undefined || podUid === "" ? undefined : podUid.slice(0, UID_DIGITS);
}
