import { ENV } from "../protocol/environment.ts";
import { queueLane, workerName } from "../protocol/keys.ts";
import type { WorkerIdentity } from "./context.ts";

export interface WorkerConfig {
  readonly identity: WorkerIdentity;
  readonly incarnation: string;
  readonly root: string;
  readonly socket: string;
  readonly scratch: string;
}

/** The worker's environment variables do not let it start; the message names all faults at once. */
export class Misconfigured extends Error {
  override readonly name = "Misconfigured";
}

/** Throws `Misconfigured`. */
export function readConfig(
  environment: Readonly<Record<string, string | undefined>>,
  random: () => string,
): WorkerConfig {
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
  const index = count(ENV.index);
  const paths = { root: text(ENV.root), socket: text(ENV.socket), scratch: text(ENV.scratch) };
  if (faults.length > 0) throw new Misconfigured(faults.join("\n"));
  const incarnation = environment[ENV.incarnation] ?? random();
  const name = workerName(place.epoch, generation, index, incarnation);
  return {
    identity: { ...place, queueLane: queueLane(place.api, place.lane), generation, index, name },
    incarnation,
    ...paths,
  };
}
