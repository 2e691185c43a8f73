/** Time and chance, injected everywhere, so that a whole cluster can be simulated in one process. */
export interface Clock {
  /** Milliseconds since an arbitrary start; never jumps, never goes back. Decides leases and waits. */
  monotonicMs(): number;
  /** Unix milliseconds; may jump. Only for showing. */
  wallMs(): number;
  /** Resolves after so many milliseconds; rejects with the signal's reason when it aborts first. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

export interface Random {
  /** So many random bytes, as lower-case hex of twice the length. */
  hex(bytes: number): string;
  /** Uniform in [0, 1). */
  fraction(): number;
}
