/**
 * What lies behind a seam refuses, or does not answer: a fault of the world, not of this program. The message is one sentence
 * that says what, and how to mend it, fit for a job's state. It may be mended at any time, so whoever has work to do tries on.
 */
export class Unwell extends Error {
  override readonly name: string = "Unwell";
}
