import type { Chance } from "./chance.ts";

/** What may befall one call of a seam. Probabilities, each per call. */
export interface FaultRates {
  /** Process ends before, or just after, the call takes effect. */
  readonly crashWorker: number;
  readonly crashReplica: number;
  readonly freeze: number;
  /** The call takes up to two leases. */
  readonly slow: number;
  /** An error, and nothing happened. */
  readonly lostRequest: number;
  /** An error, and it happened all the same. */
  readonly lostReply: number;
  /** An error; it happens later, if it then still can. */
  readonly late: number;
  /** Of a queue: a message delivered twice, a message gone, an empty answer though there is something. */
  readonly duplicate: number;
  readonly lostMessage: number;
  readonly shortPoll: number;
  /** Of each lane, per second: its queue vanishes with all that it holds; it comes back, empty, some leases later. */
  readonly laneGone: number;
  /** Of a pool, per second: a whole generation is deleted; a worker is drained by its platform. */
  readonly poolGone: number;
  readonly drained: number;
  /** Its node is cut off from the platform, which takes it for ended; it lives on. */
  readonly cutOff: number;
  /** Of a pod's start: its image cannot be pulled, until faults end. */
  readonly pullStuck: number;
  /** Of a handler's start. */
  readonly startFails: number;
  /** Of a service, per second: it is asked to leave, and another one comes. */
  readonly leaves: number;
}

const NONE: FaultRates = {
  crashWorker: 0,
  crashReplica: 0,
  freeze: 0,
  slow: 0,
  lostRequest: 0,
  lostReply: 0,
  late: 0,
  duplicate: 0,
  lostMessage: 0,
  shortPoll: 0,
  laneGone: 0,
  poolGone: 0,
  drained: 0,
  cutOff: 0,
  pullStuck: 0,
  startFails: 0,
  leaves: 0,
};

/** The most of each; what a seed gets lies below, by magnitudes. */
const HIGHEST: FaultRates = {
  crashWorker: 0.02,
  crashReplica: 0.01,
  freeze: 0.01,
  slow: 0.02,
  lostRequest: 0.02,
  lostReply: 0.02,
  late: 0.02,
  duplicate: 0.1,
  lostMessage: 0.1,
  shortPoll: 0.3,
  laneGone: 0.4,
  poolGone: 0.05,
  drained: 0.1,
  cutOff: 0.3,
  pullStuck: 0.4,
  startFails: 0.2,
  leaves: 0.05,
};

/** A swarm: each seed has some classes of fault, none of the others, so that one does not hide another. */
export function drawRates(chance: Chance, kind: "none" | "swarm"): FaultRates {
  const drawn: Record<keyof FaultRates, number> = { ...NONE };
  if (kind === "none") return drawn;
  for (const name of Object.keys(HIGHEST) as (keyof FaultRates)[]) {
    drawn[name] = chance.is(0.4) ? chance.skewed(HIGHEST[name] / 50, HIGHEST[name]) : 0;
  }
  return drawn;
}

/** On one machine nothing is lost on the way: processes die, stand still and are replaced, disks are slow. */
export function onOneMachine(rates: FaultRates): FaultRates {
  const { crashWorker, crashReplica, freeze, slow, drained, startFails, leaves } = rates;
  return { ...NONE, crashWorker, crashReplica, freeze, slow, drained, startFails, leaves };
}

export const NO_FAULTS = NONE;
