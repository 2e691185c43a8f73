/** Work that stands in one handler's pipe, so that it need not wait for the next batch, nor wake for each. */
const PIPE_MS = 20;
const PIPE_DEPTH_MAX = 64;

/** How many batches stand in one handler's pipe: as many as it takes to keep it busy, and none behind a long one. */
export function pipeDepth(meanMs: number | undefined): number {
  if (meanMs === undefined || meanMs > 250) return 1;
  return Math.max(2, Math.min(PIPE_DEPTH_MAX, Math.floor(PIPE_MS / Math.max(meanMs, 0.001))));
}
