/**
 * Environments: a handler's installed dependencies, an artefact that is made once per (content of the files that ask for
 * them, Python, machine) and shared by all versions, jobs and workers that need the same. Workers never install anything.
 */
import { dependencyFault, type Dependencies } from "../project/environment-key.ts";
import type { ProjectFiles } from "../project/project-files.ts";

export interface Environments {
  /**
   * Makes the environment that a project's files ask for, or finds it made, and answers its key; null when they ask for
   * nothing. `progress` gets a sentence now and then; a second use is silent and needs no network. Builders of one key, in
   * any number of processes, share one build. Throws `EnvironmentFailed`; rejects with the signal's reason when it aborts.
   */
  build(
    files: ProjectFiles,
    dependencies: Dependencies,
    progress: (sentence: string) => void,
    signal?: AbortSignal,
  ): Promise<string | null>;
}

/** The environment cannot be made. `message` is a sentence for the project's author. */
export class EnvironmentFailed extends Error {
  override readonly name = "EnvironmentFailed";
  /** The last lines that the installer printed, credentials masked; may be empty. */
  readonly outputTail: string;

  constructor(message: string, outputTail = "", cause?: unknown) {
    super(message, { cause });
    this.outputTail = outputTail;
  }
}

/** What no builder here can do, told before any begins. Throws `EnvironmentFailed`. */
export function refuseWhatDoesNotWork(files: ProjectFiles, dependencies: Dependencies): void {
  const fault = dependencyFault(files, dependencies);
  if (fault !== undefined) throw new EnvironmentFailed(fault);
}
