/** What the doors can ask of APIs: deployed code, its versions, its end. */
import type { ApiVersion } from "../../protocol/jobs.ts";

export interface ApiView {
  readonly current: ApiVersion;
  /** Newest first, at most 20. */
  readonly versions: readonly Pick<ApiVersion, "version" | "created_at">[];
}

/** One whose records cannot be read, so that nothing is known of it but its name and what is damaged. */
export interface DamagedApi {
  readonly name: string;
  /** Names the object and the fix. */
  readonly message: string;
}

/** All there are. */
export interface ApiList {
  readonly views: readonly ApiView[];
  readonly damaged: readonly DamagedApi[];
}

export interface Deployed {
  readonly view: ApiView;
  readonly change: "created" | "updated" | "unchanged";
}

export interface ApiService {
  list(): Promise<ApiList>;
  /** Throws `Problem` (api_not_found). */
  get(api: string): Promise<ApiView>;
  /**
   * Takes a project archive (deterministic tar.gz with a `millrace.yaml` or `cortex.yaml` at its root) and makes it the
   * version that new jobs get. The environment is built first, or already there; `progress` gets a sentence now and then.
   * Throws `Problem` when the archive, the spec or the environment does not work; then nothing has changed.
   */
  deploy(api: string, archive: Buffer, progress: (sentence: string) => void): Promise<Deployed>;
  /** Stops the API's jobs, waits for their final states, then removes it. Throws `Problem` (api_not_found). */
  remove(api: string): Promise<void>;
}
