/** What `millrace doctor` says of one thing that it looked at. */
export interface Finding {
  readonly name: string;
  /** warn: it works, and something may not. */
  readonly result: "ok" | "warn" | "fail";
  /** What was found, and the fix when there is something to mend. */
  readonly says: string;
}
