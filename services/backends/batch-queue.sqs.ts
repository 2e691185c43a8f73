import { createHash } from "node:crypto";
import type { Message as SqsMessage } from "@aws-sdk/client-sqs";
import { decodeMessage, type Message } from "../protocol/messages.ts";
import { LaneGone, type BatchQueue, type Delivery, type ReceiveOptions } from "./batch-queue.ts";
import type { Clock, Random } from "./clock.ts";
import { GROUP_ENTRIES_MAX, groupsOf, type Body } from "./sqs/bodies.ts";
import { CallWindow, inParallel } from "./sqs/call-window.ts";
import { isTemporary, SqsCalls, type SqsCall, type SqsRequestOutcome } from "./sqs/calls.ts";
import { faultOfCode, SqsError, type SqsRequestKind } from "./sqs/faults.ts";
import { settleAll, settleGroup, type Refusal } from "./sqs/groups.ts";
import { HeldReceipts, LEASE_SECONDS_MAX } from "./sqs/held-receipts.ts";
import { SqsRequests, type GroupAnswer, type SqsCredentials } from "./sqs/requests.ts";

export interface SqsQueueOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Queue URLs of the lanes, lane 0 first. */
  readonly queueUrls: readonly string[];
  /** Whole seconds, 1 to 21,000 (SQS hides a message for 12 hours at most); default 60. */
  readonly leaseSeconds?: number;
  /** Said where a queue URL's host does not say it. Undefined: the SDK's own default chain. */
  readonly region?: string;
  /** Undefined: the SDK's own default chain. */
  readonly credentials?: SqsCredentials | (() => Promise<SqsCredentials>);
  /** Calls in flight, long polls apart; default 32, which fills a link of 20 ms. */
  readonly callsInFlightMax?: number;
  /**
   * How long a worker's calls (receive, extend, ack, release) are tried again while SQS throttles, does not answer, or
   * credentials are expired; default 900 seconds. A driver must not stand still: its calls (send, probe) have a tenth of
   * a lease, and a second at least.
   */
  readonly patienceSeconds?: number;
  /** Each request as it ends, retries included: what is billed, and why some were in vain. */
  readonly onRequest?: (kind: SqsRequestKind, outcome: SqsRequestOutcome) => void;
  /** A message that nobody understands was removed: the SHA-256 of its body (hex), and the body's bytes. */
  readonly onUndecodable?: (sha256: string, bodyBytes: number) => void;
  /** A sentence for the log; it holds no payload and no credential. */
  readonly onNotice?: (sentence: string) => void;
}

/** A long poll waits no longer than this: an SQS limit. */
const POLL_SECONDS_MAX = 20;

const DRIVER_PATIENCE_SECONDS_MIN = 1;

/** Long polls beside the calls in flight: a worker has one, a service none. */
const POLLS_MAX = 8;

/**
 * Lanes that are standard SQS queues. Every call is made of requests of at most ten entries, several of them at a time;
 * each entry that fails in a request that succeeds is tried again, or answered as refused. Approximate counts of messages
 * are never read.
 *
 *     const queue = new SqsQueue({ clock: realClock, random: realRandom, queueUrls: [url0, url1] });
 *     const deliveries = await queue.receive("photos/1", { messagesMax: 100, waitSeconds: 20 });
 *
 * All calls throw `LaneGone` when the lane's queue does not exist, and `SqsError` when it may not be used or is not
 * reached.
 */
export class SqsQueue implements BatchQueue {
  readonly leaseSeconds: number;
  readonly #clock: Clock;
  readonly #queueUrls: readonly string[];
  readonly #callsInFlightMax: number;
  readonly #patienceMs: number;
  readonly #driverPatienceMs: number;
  readonly #onUndecodable: (sha256: string, bodyBytes: number) => void;
  readonly #onNotice: (sentence: string) => void;
  readonly #requests: SqsRequests;
  readonly #calls: SqsCalls;
  readonly #held: HeldReceipts;

  constructor(options: SqsQueueOptions) {
    const { leaseSeconds = 60, callsInFlightMax = 32, patienceSeconds = 900, region, credentials } = options;
    if (!Number.isInteger(leaseSeconds) || leaseSeconds < 1 || leaseSeconds > LEASE_SECONDS_MAX) {
      const range = `a whole number of seconds from 1 to ${String(LEASE_SECONDS_MAX)}`;
      throw new RangeError(`leaseSeconds is ${String(leaseSeconds)}: it must be ${range}`);
    }
    if (!(callsInFlightMax >= 1)) {
      throw new RangeError(`callsInFlightMax is ${String(callsInFlightMax)}: it must be at least 1`);
    }
    for (const [lane, url] of options.queueUrls.entries()) {
      if (!/^https?:\/\/[^/]+\/./.test(url) || !URL.canParse(url)) {
        throw new RangeError(`the queue URL of lane ${String(lane)} is ${JSON.stringify(url)}: it must be an http URL`);
      }
    }
    this.leaseSeconds = leaseSeconds;
    this.#clock = options.clock;
    this.#queueUrls = options.queueUrls;
    this.#callsInFlightMax = callsInFlightMax;
    this.#patienceMs = 1000 * patienceSeconds;
    this.#driverPatienceMs = 1000 * Math.max(DRIVER_PATIENCE_SECONDS_MIN, leaseSeconds / 10);
    this.#onUndecodable = options.onUndecodable ?? (() => undefined);
    this.#onNotice = options.onNotice ?? (() => undefined);
    this.#held = new HeldReceipts(leaseSeconds);
    this.#requests = new SqsRequests({
      connectionsMax: callsInFlightMax + POLLS_MAX,
      ...(region === undefined ? {} : { region }),
      ...(credentials === undefined ? {} : { credentials }),
    });
    this.#calls = new SqsCalls({
      clock: options.clock,
      random: options.random,
      window: new CallWindow(callsInFlightMax),
      onRequest: options.onRequest ?? (() => undefined),
      onNotice: this.#onNotice,
      renewCredentials: (url) => this.#requests.renewCredentials(url),
    });
  }

  /**
   * As the seam says. Refused are messages that SQS will never take (too long), and those for which it had no room until
   * the budget of a tenth of a lease was spent; a message whose reply was lost is sent again, and may be there twice.
   */
  async send(lane: string, messages: readonly Message[]): Promise<readonly number[]> {
    const call = this.#call("send", lane, this.#driverPatienceMs);
    const refused: number[] = [];
    await inParallel(groupsOf(messages), this.#callsInFlightMax, async (group) => {
      const late = refused.length > 0 && this.#clock.monotonicMs() > call.untilMs;
      const entries = late ? group : (await this.#sendGroup(call, group)).map(({ entry }) => entry);
      for (const { index } of entries) refused.push(index);
    });
    return refused.sort((one, other) => one - other);
  }

  /**
   * As the seam says. The first request waits; only while requests come back full are more made, two for each. Waits
   * are rounded up to whole seconds; one of 0 is a short poll, which may overlook messages. No request is abandoned, as
   * its answer may hold messages.
   */
  async receive(lane: string, { messagesMax, waitSeconds }: ReceiveOptions): Promise<readonly Delivery[]> {
    if (!(messagesMax >= 1)) throw new RangeError(`messagesMax is ${String(messagesMax)}: it must be at least 1`);
    const asked = Math.min(GROUP_ENTRIES_MAX, Math.floor(messagesMax));
    let secondsLeft = Math.max(0, Math.ceil(waitSeconds));
    for (;;) {
      const seconds = Math.min(POLL_SECONDS_MAX, secondsLeft);
      const polled = await this.#poll(this.#call("receive", lane), asked, seconds);
      const deliveries = await this.#deliver(lane, polled);
      if (polled.length === asked) await this.#receiveMore(lane, Math.floor(messagesMax) - asked, deliveries);
      if (deliveries.length > 0) return deliveries;
      if (polled.length > 0) continue; // none of ours: whether the lane is empty is not known yet
      secondsLeft -= seconds;
      if (secondsLeft <= 0) return [];
    }
  }

  /**
   * As the seam says. SQS lets nobody hold a message longer than 12 hours. So the message of a receipt that is older than
   * about 11 h 50 is acked instead, and its receipt stays good for its holder, who names the batch in its ledger: that keeps
   * it from being sent again, and nothing else does. An ack ends it; a release does too, and then the driver sends the
   * batch again once nobody names it.
   */
  async extend(lane: string, receipts: readonly string[]): Promise<readonly string[]> {
    const nowMs = this.#clock.monotonicMs();
    const held = receipts.filter((receipt) => !this.#held.isBeyond(receipt));
    const lost = new Set<string>();
    const old = held.filter((receipt) => this.#held.isAtCeiling(receipt, nowMs));
    if (old.length > 0) await this.#keepBeyond(lane, old, lost);
    const young = old.length === 0 ? held : held.filter((receipt) => !old.includes(receipt));
    const call = this.#call("extend", lane);
    // A lease that could not be renewed for its whole length is lost, whatever the reason.
    const untilMs = Math.min(call.untilMs, nowMs + 1000 * this.leaseSeconds);
    const refusals = await settleAll(young, this.#callsInFlightMax, (group) =>
      this.#renew({ ...call, untilMs }, group),
    );
    for (const { entry } of refusals) lost.add(entry);
    for (const receipt of lost) this.#held.forget(receipt);
    return receipts.filter((receipt) => lost.has(receipt));
  }

  async ack(lane: string, receipts: readonly string[]): Promise<void> {
    const call = this.#call("ack", lane);
    await this.#end(call, receipts, (group) => this.#requests.delete(call.url, group));
  }

  async release(lane: string, receipts: readonly string[]): Promise<void> {
    const call = this.#call("release", lane);
    await this.#end(call, receipts, (group) => this.#requests.hide(call.url, group, 0));
  }

  async probe(lane: string): Promise<void> {
    const call = this.#call("probe", lane, this.#driverPatienceMs);
    await this.#calls.run(call, () => this.#requests.probe(call.url));
  }

  /** Ends connections. A poll must have been awaited before, or what it brings stays hidden for a lease. */
  close(): Promise<void> {
    return this.#requests.close();
  }

  #call(kind: SqsRequestKind, lane: string, patienceMs = this.#patienceMs): SqsCall {
    const url = this.#queueUrls[Number(/\/(\d+)$/.exec(lane)?.[1])];
    if (url === undefined) {
      throw new LaneGone(`lane ${lane} has no queue: there are queue URLs for ${String(this.#queueUrls.length)} lanes`);
    }
    return { kind, lane, url, untilMs: this.#clock.monotonicMs() + patienceMs };
  }

  async #sendGroup(call: SqsCall, group: readonly Body[]): Promise<readonly Refusal<Body>[]> {
    try {
      return await settleGroup(this.#calls, call, group, (bodies) => this.#requests.send(call.url, bodies));
    } catch (error) {
      if (!(error instanceof SqsError)) throw error;
      const refusals = (code: string) => group.map((entry) => ({ entry, code, senderFault: false }));
      if (error.fault === "throttled") return refusals(error.code);
      if (error.fault !== "refused") throw error;
      // One of them spoils the request (a queue may allow less than SQS does): the others go without it.
      if (group.length === 1) return refusals(error.code);
      const alone = [];
      for (const body of group) alone.push(...(await this.#sendGroup(call, [body])));
      return alone;
    }
  }

  async #poll(call: SqsCall, messagesMax: number, waitSeconds: number): Promise<readonly SqsMessage[]> {
    const { leaseSeconds } = this;
    return this.#calls.run({ ...call, waits: waitSeconds > 0 }, () =>
      this.#requests.receive(call.url, { messagesMax, waitSeconds, leaseSeconds }),
    );
  }

  async #receiveMore(lane: string, messagesMax: number, into: Delivery[]): Promise<void> {
    let left = messagesMax;
    const more = async (): Promise<void> => {
      const asked = Math.min(GROUP_ENTRIES_MAX, left);
      if (asked < 1) return;
      left -= asked;
      // What the others bring must reach the caller; what is wrong shows in the next receive.
      const polled = await this.#poll(this.#call("receive", lane, 0), asked, 0).catch(() => []);
      into.push(...(await this.#deliver(lane, polled)));
      if (polled.length === asked) await Promise.all([more(), more()]);
      else left = 0;
    };
    await more();
  }

  /** Leaves out, and removes, what nobody understands. */
  async #deliver(lane: string, received: readonly SqsMessage[]): Promise<Delivery[]> {
    const nowMs = this.#clock.monotonicMs();
    const deliveries: Delivery[] = [];
    const strange: string[] = [];
    for (const { Body: text = "", ReceiptHandle: receipt = "", Attributes } of received) {
      const message = decodeMessage(text);
      if (message === undefined) {
        strange.push(receipt);
        this.#onUndecodable(createHash("sha256").update(text).digest("hex"), Buffer.byteLength(text));
        continue;
      }
      this.#held.received(receipt, nowMs);
      deliveries.push({ message, receipt, deliveries: Number(Attributes?.ApproximateReceiveCount ?? 1) });
    }
    // One that cannot be removed comes again after its lease, and must not keep back the others.
    if (strange.length > 0) await this.ack(lane, strange).catch(() => undefined);
    return deliveries;
  }

  async #renew(call: SqsCall, receipts: readonly string[]): Promise<readonly Refusal<string>[]> {
    try {
      return await settleGroup(this.#calls, call, receipts, (group) =>
        this.#requests.hide(call.url, group, this.leaseSeconds),
      );
    } catch (error) {
      if (!(error instanceof SqsError && isTemporary(error.fault))) throw error;
      return receipts.map((entry) => ({ entry, code: error.code, senderFault: false }));
    }
  }

  async #keepBeyond(lane: string, receipts: readonly string[], lost: Set<string>): Promise<void> {
    const call = this.#call("ack", lane);
    const refusals = await settleAll(receipts, this.#callsInFlightMax, (group) =>
      settleGroup(this.#calls, call, group, (some) => this.#requests.delete(call.url, some)),
    );
    for (const { entry } of refusals) lost.add(entry);
    for (const receipt of receipts) if (!lost.has(receipt)) this.#held.keepBeyond(receipt);
    this.#onNotice(
      `${String(receipts.length)} batches of lane ${lane} are held for nearly 12 hours, which is all that SQS allows: their messages are acked, and the ledger alone tells who holds them`,
    );
  }

  /** An ack or a release: receipts that are no longer good are ignored. */
  async #end(call: SqsCall, receipts: readonly string[], request: (group: readonly string[]) => Promise<GroupAnswer>) {
    const inLane = receipts.filter((receipt) => !this.#held.isBeyond(receipt));
    for (const receipt of receipts) this.#held.forget(receipt);
    const refusals = await settleAll(inLane, this.#callsInFlightMax, (group) =>
      settleGroup(this.#calls, call, group, request),
    );
    const undone = refusals.filter(({ senderFault }) => !senderFault);
    if (undone.length === 0) return;
    const code = undone[0]?.code ?? "";
    throw new SqsError(
      faultOfCode(code) ?? "unreachable",
      code,
      `${String(undone.length)} messages of lane ${call.lane} could not be given an ${call.kind} (${code}); their leases end by themselves`,
    );
  }
}
