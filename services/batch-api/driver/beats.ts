/**
 * When each beat of the lane record was written, by the driver's clock, and what empty polls of workers prove by naming
 * the beat that they had read: their poll began later than that beat.
 */
export class Beats {
  readonly #writtenMs = new Map<number, number>();
  readonly #polledBeat = new Map<string, number>();
  /** Times before which the two latest polls surely did not begin. */
  #latestMs: number | undefined;
  #secondMs: number | undefined;
  #news = false;

  /** `nowMs`: just before the write began. */
  written(beat: number, nowMs: number): void {
    this.#writtenMs.set(beat, nowMs);
    if (this.#writtenMs.size <= 4096) return;
    const oldest = this.#writtenMs.keys().next();
    if (oldest.done !== true) this.#writtenMs.delete(oldest.value);
  }

  /** A worker's newest held line says that it had read `beat` before its last empty poll. */
  polled(worker: string, beat: number): void {
    if (beat <= (this.#polledBeat.get(worker) ?? -1)) return;
    this.#polledBeat.set(worker, beat);
    const atMs = this.#writtenMs.get(beat);
    if (atMs === undefined) return; // another driver's beat: proves nothing about our sends
    this.#news = true;
    if (this.#latestMs === undefined || atMs >= this.#latestMs) {
      this.#secondMs = this.#latestMs;
      this.#latestMs = atMs;
    } else if (this.#secondMs === undefined || atMs > this.#secondMs) {
      this.#secondMs = atMs;
    }
  }

  get twoPollsAfterMs(): number | undefined {
    return this.#secondMs;
  }

  /** True once after each new poll. */
  takeNews(): boolean {
    const news = this.#news;
    this.#news = false;
    return news;
  }
}
