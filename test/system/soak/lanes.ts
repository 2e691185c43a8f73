/** What became of the lanes, by what the services said when their drivers took up jobs. */

interface Driving {
  readonly time: string | number;
  readonly job: string;
  readonly lane: number;
}

export interface LaneStory {
  /** Jobs that somebody drove before. */
  readonly takeovers: number;
  /** Lanes that went from one job to the next. */
  readonly handedOn: number;
}

/** `said`: the log of each service that ever ran. */
export function laneStory(said: readonly string[]): LaneStory {
  const driven = new Set<string>();
  const holders = new Map<number, string>();
  let [takeovers, handedOn] = [0, 0];
  for (const { job, lane } of said.flatMap(drivings).sort((a, b) => (a.time < b.time ? -1 : 1))) {
    if (driven.has(job)) takeovers += 1;
    driven.add(job);
    const before = holders.get(lane);
    if (before !== undefined && before !== job) handedOn += 1;
    holders.set(lane, job);
  }
  return { takeovers, handedOn };
}

function drivings(said: string): Driving[] {
  const lines = said.split("\n").filter((line) => line.startsWith("{") && line.endsWith('"msg":"driving"}'));
  return lines.map((line) => JSON.parse(line) as Driving);
}
