import { DatasetError } from "../../services/backends/dataset.ts";
import { StoreUnwell } from "../../services/backends/object-store.ts";
import { SqsError } from "../../services/backends/sqs/faults.ts";
import type { FaultRates } from "../simulation/faults.ts";
import { Unreachable } from "../simulation/simulated-process.ts";

/** A call of a seam, in words, and whose it is. */
export interface SweptCall {
  readonly by: "replica" | "worker";
  readonly words: string;
}

type Seam = "store" | "queue" | "pool" | "dataset";

/** A fault class of the sweep: which calls it can befall, and by what the watch knows that it was in the world. */
interface FaultClass {
  readonly befalls: (call: SweptCall) => boolean;
  /** Rates that excuse what the watch would otherwise call a fault of ours. */
  readonly excuses: readonly (keyof FaultRates)[];
}

const any = () => true;

export const FAULTS = {
  /** No answer, and nothing happened. */
  "request lost": { befalls: any, excuses: ["lostRequest"] },
  /** No answer, and it happened all the same. */
  "reply lost": { befalls: any, excuses: ["lostReply"] },
  /** No answer, and it happens two leases later. */
  "lands late": { befalls: any, excuses: ["late"] },
  /** It happens, and is answered, after a lease and a half. */
  slow: { befalls: any, excuses: ["slow"] },
  /**
   * No answer, ever, and the process lives on. Only a driver minds: it must end itself. Behind a worker's seams every wait
   * has its end, and a pool's silence is for the probe to judge.
   */
  hangs: { befalls: ({ by, words }) => by === "replica" && seamOf(words) !== "pool", excuses: ["slow"] },
  /** Refused at once, in the seam's own words. */
  throttled: { befalls: any, excuses: [] },
  "process dies before": { befalls: any, excuses: [] },
  "process dies after": { befalls: any, excuses: [] },
  /** It stands still before the call for two and a half leases; then the call goes out. */
  "frozen before": { befalls: any, excuses: ["freeze"] },
  /** The call happens while it stands still; it reads the answer two and a half leases later. */
  "frozen after": { befalls: any, excuses: ["freeze"] },
  /** Half of the entries failed in a request that succeeded; of one entry, that one. */
  "partial failure": { befalls: ({ words }) => /^(send|ack|extend|release) /.test(words), excuses: ["lostRequest"] },
  /** A poll finds nothing, a page of a list holds one key. */
  "short answer": { befalls: ({ words }) => /^(receive|list) /.test(words), excuses: [] },
  /** The message is there twice. */
  doubled: { befalls: ({ words }) => words.startsWith("send "), excuses: [] },
} as const satisfies Record<string, FaultClass>;

export type Fault = keyof typeof FAULTS;
export const faultNames = Object.keys(FAULTS) as readonly Fault[];

/** How long after the call the fault may still have a hand in things, leases. */
export const FAULT_LEASES = { late: 2, slow: 1.5, frozen: 2.5 } as const;

export function seamOf(words: string): Seam {
  if (words.includes("s3://")) return "dataset";
  if (/^(send|receive|extend|ack|release|probe sim\/)/.test(words)) return "queue";
  return /^(start|resize|workers|stop|probe)/.test(words) ? "pool" : "store";
}

/** The error of a call that nobody answers, and that of one that is refused. */
export function noAnswer(words: string): Error {
  return new Unreachable(`${words}: no answer`);
}

export function refusal(words: string): Error {
  switch (seamOf(words)) {
    case "store":
      return new StoreUnwell("the store asks to slow down");
    case "queue":
      return new SqsError("throttled", "RequestThrottled", "the queue asks to slow down");
    case "dataset":
      return new DatasetError("unreachable", "s3://bucket/", "the dataset asks to slow down");
    case "pool":
      return new Unreachable("429 Too Many Requests");
  }
}
