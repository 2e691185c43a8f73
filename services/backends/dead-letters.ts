import { Unwell } from "./unwell.ts";

/** A failed batch on its way to its user's queue. */
export interface DeadLetter {
  /** Tells the queue that two copies are one letter, where it asks for that. */
  readonly id: string;
  readonly body: string;
  /** Texts beside the body. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** A letter that the queue does not take, as it is. */
export interface ReturnedLetter {
  readonly index: number;
  /** The queue's own word for it. */
  readonly code: string;
}

/** Nothing can be sent to this queue; `mayHeal`: it may be worth a try later. The message is one sentence with the cause and the fix. */
export class DeadLetterQueueUnwell extends Unwell {
  override readonly name = "DeadLetterQueueUnwell";
  readonly mayHeal: boolean;

  constructor(message: string, mayHeal: boolean, options?: ErrorOptions) {
    super(message, options);
    this.mayHeal = mayHeal;
  }
}

/** Queues of users, which failed batches are sent to. Nothing is ever read from them. */
export interface DeadLetterQueues {
  /**
   * Sends letters, each at least once; answers those that were not taken. Throws `DeadLetterQueueUnwell`, and then any of them
   * may have been sent.
   */
  send(arn: string, letters: readonly DeadLetter[]): Promise<readonly ReturnedLetter[]>;

  close(): Promise<void>;
}
