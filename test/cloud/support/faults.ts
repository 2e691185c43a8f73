/** What the fault proxy can do to a request, and to which. */
import { Chance } from "../../simulation/chance.ts";

export type Fault =
  /** Answered without being forwarded: 409, 412, 429, 500, 503 and whatever. `code` is the service's own name for it. */
  | { readonly kind: "refuse"; readonly status: number; readonly code: string }
  /** Done, but the connection is reset instead of an answer. */
  | { readonly kind: "loseReply" }
  /** Reset before it is done. */
  | { readonly kind: "loseRequest" }
  /** Reset at once, and done later: when the proxy is told to land it, or after so many milliseconds. */
  | { readonly kind: "landLate"; readonly afterMilliseconds?: number }
  /** Done; the answer's head comes, and half of its body, then a reset. */
  | { readonly kind: "cutReply" }
  /** Some entries of an SQS batch are answered as failed and not forwarded; the others are done. */
  | {
      readonly kind: "failEntries";
      readonly code: string;
      readonly senderFault: boolean;
      readonly of: (at: number) => boolean;
    }
  /** More than so many in a second are refused as the service throttles. */
  | { readonly kind: "throttle"; readonly perSecond: number };

export interface FaultRule {
  /** Counts of what fired go by it. */
  readonly name: string;
  readonly method?: string;
  readonly path?: RegExp;
  /** The end of `x-amz-target`, or `Action` of a form. */
  readonly operation?: string;
  /** Only these of the requests that match otherwise, from 1. Undefined: all. */
  readonly nth?: readonly number[];
  /** Of those, by chance. Undefined: all. */
  readonly probability?: number;
  /** Ends after it fired so often. */
  readonly times?: number;
  readonly fault: Fault;
}

export interface ProxiedRequest {
  readonly method: string;
  readonly path: string;
  readonly operation: string;
  /** Names and values in turn, as they came: a signature covers them, the host's too. */
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
}

interface RuleState {
  readonly rule: FaultRule;
  matched: number;
  fired: number;
}

/** The rules in force, in their order: the first that fits a request fires. */
export class FaultRules {
  readonly #chance: Chance;
  #states: RuleState[] = [];
  readonly #fired = new Map<string, number>();

  constructor(seed: number) {
    this.#chance = new Chance(seed);
  }

  add(rule: FaultRule): void {
    this.#states.push({ rule, matched: 0, fired: 0 });
  }

  clear(): void {
    this.#states = [];
  }

  /** How often faults of that name fired. */
  fired(name: string): number {
    return this.#fired.get(name) ?? 0;
  }

  count(name: string): void {
    this.#fired.set(name, this.fired(name) + 1);
  }

  /** The rule that fires on this request. A throttle is only asked for: whether it refuses shows later. */
  next(request: ProxiedRequest): FaultRule | undefined {
    for (const state of this.#states) {
      const { rule } = state;
      if (!fits(rule, request)) continue;
      state.matched += 1;
      if (rule.nth !== undefined && !rule.nth.includes(state.matched)) continue;
      if (rule.times !== undefined && state.fired >= rule.times) continue;
      if (rule.probability !== undefined && !this.#chance.is(rule.probability)) continue;
      state.fired += 1;
      if (rule.fault.kind !== "throttle") this.count(rule.name);
      return rule;
    }
    return undefined;
  }
}

function fits({ method, path, operation }: FaultRule, request: ProxiedRequest): boolean {
  return (
    (method === undefined || method === request.method) &&
    (path === undefined || path.test(request.path)) &&
    (operation === undefined || operation === request.operation)
  );
}

export function headerOf(rawHeaders: readonly string[], name: string): string {
  const at = rawHeaders.findIndex((header, index) => index % 2 === 0 && header.toLowerCase() === name);
  return at < 0 ? "" : (rawHeaders[at + 1] ?? "");
}

/** As the services name what they were asked to do; empty for S3, which goes by method and path. */
export function operationOf(rawHeaders: readonly string[], body: Buffer): string {
  const target = headerOf(rawHeaders, "x-amz-target");
  if (target !== "") return target.split(".").at(-1) ?? "";
  if (!headerOf(rawHeaders, "content-type").startsWith("application/x-www-form-urlencoded")) return "";
  return new URLSearchParams(body.toString()).get("Action") ?? "";
}
