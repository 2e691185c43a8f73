/** The lane record: the only lease there is. One running job holds a lane; one replica (the owner) drives that job. */
export interface LaneRecord {
  /** Rises with each grant of the lane to a job. */
  readonly epoch: number;
  /** Rises with each change of owner; fences deposed drivers. */
  readonly term: number;
  readonly job: string | null;
  /** The replica that drives the job; empty: free to take at once. */
  readonly owner: string;
  /** Counts up while the owner lives. */
  readonly beat: number;
  /** Generation -> how many indexes (0 to n - 1) are still wanted. */
  readonly keep: Readonly<Record<string, number>>;
  /** Most pointers that one worker may hold. */
  readonly hand: number;
  /** Workers of the job that stood down so far; absent in older records. */
  readonly stood_down?: number;
  /** No new batch starts; workers abort and leave. */
  readonly stop: boolean;
  /** Bumped with every write, so that no two values are alike. */
  readonly writes: number;
}

export const EMPTY_LANE: LaneRecord = {
  epoch: 0,
  term: 0,
  job: null,
  owner: "",
  beat: 0,
  keep: {},
  hand: 1,
  stop: false,
  writes: 0,
};
