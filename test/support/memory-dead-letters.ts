import type { DeadLetter, DeadLetterQueues, ReturnedLetter } from "../../services/backends/dead-letters.ts";

/** Queues of users in memory: what was sent to each, in its order. */
export class MemoryDeadLetters implements DeadLetterQueues {
  readonly sent: (DeadLetter & { readonly arn: string })[] = [];
  /** Thrown, or answered for a letter, by the next calls in turn; then all goes well. */
  readonly faults: (Error | ((letter: DeadLetter) => boolean))[] = [];
  calls = 0;

  send(arn: string, letters: readonly DeadLetter[]): Promise<readonly ReturnedLetter[]> {
    this.calls += 1;
    const fault = this.faults.shift();
    if (fault instanceof Error) return Promise.reject(fault);
    const returned: ReturnedLetter[] = [];
    for (const [index, letter] of letters.entries()) {
      if (fault?.(letter) === true) returned.push({ index, code: "InvalidParameterValue" });
      else this.sent.push({ ...letter, arn });
    }
    return Promise.resolve(returned);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
