/** The other task of a worker's image: to build one environment, for all workers that will need it. */
import { writeFileSync } from "node:fs";
import { readCloudConfig, type Environment } from "../backends/cloud-config.ts";
import { realClock, realRandom } from "../backends/clock.real.ts";
import { environmentEnd, packEnvironment, readRequest } from "../backends/environment-archive.ts";
import { EnvironmentFailed } from "../backends/environments.ts";
import { VenvEnvironments } from "../backends/environments.venv.ts";
import { S3Store } from "../backends/object-store.s3.ts";
import { s3AccessFrom } from "../backends/s3/s3-requests.ts";
import { ENV, Misconfigured } from "../protocol/environment.ts";
import { WORKER_EXIT } from "../protocol/exit-codes.ts";

/** Kubernetes shows what stands there as the end of the container; it keeps 4,096 bytes. */
const TERMINATION_LOG = "/dev/termination-log";
const LAST_WORDS_CHARACTERS_MAX = 3_500;

/** Builds the environment that `MILLRACE_BUILD_ENVIRONMENT` names; answers the process's exit code. Throws `Misconfigured`. */
export async function buildEnvironment(environment: Environment): Promise<number> {
  const { api, key, root, bucket, region } = readConfig(environment);
  const say = (sentence: string) => process.stdout.write(`${sentence}\n`);
  const clocks = { clock: realClock, random: realRandom };
  const access = { ...s3AccessFrom(environment), region };
  const place = { store: new S3Store({ ...clocks, bucket, access, say }), api, key };
  if ((await environmentEnd(place)) !== undefined) return WORKER_EXIT.done;
  const { files, dependencies } = await readRequest(place);
  const python = environment[ENV.python] ?? "python3";
  const builder = new VenvEnvironments({ root, python, env: environment, clock: realClock });
  try {
    const folder = await builder.build(files, dependencies, say);
    if (folder === null) throw new EnvironmentFailed("the files ask for nothing to be installed");
    await packEnvironment(place, root, folder, realRandom.hex(8));
    say("the environment is in the store");
    return WORKER_EXIT.done;
  } catch (error) {
    if (!(error instanceof EnvironmentFailed)) throw error;
    lastWords(`${error.message}\n${error.outputTail}`);
    return WORKER_EXIT.buildFailed;
  }
}

function readConfig(environment: Environment) {
  const faults: string[] = [];
  const text = (name: string): string => {
    const value = environment[name] ?? "";
    if (value === "") faults.push(`${name} is not set; the service that starts a builder sets it`);
    return value;
  };
  const own = { api: text(ENV.api), key: text(ENV.buildEnvironment), root: text(ENV.scratch) };
  const { bucket, region } = readCloudConfig(environment, faults);
  if (faults.length > 0) throw new Misconfigured(faults.join("\n"));
  return { ...own, bucket, region };
}

function lastWords(text: string): void {
  process.stderr.write(`${text}\n`);
  try {
    writeFileSync(TERMINATION_LOG, text.slice(0, LAST_WORDS_CHARACTERS_MAX));
  } catch {
    // outside a pod there is no such file; stderr has it all
  }
}
