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
import { inheritedEnvironment } from "./inherited-environment.ts";

/** Kubernetes shows what stands there as the end of the container; of more than so many bytes it keeps the end alone. */
const TERMINATION_LOG = "/dev/termination-log";
const TERMINATION_BYTES_MAX = 4_096;
const SENTENCE_BYTES_MAX = 1_000;

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
  const builder = new VenvEnvironments({ root, python, env: inheritedEnvironment(environment), clock: realClock });
  try {
    const folder = await builder.build(files, dependencies, say);
    if (folder === null) throw new EnvironmentFailed("the files ask for nothing to be installed");
    await packEnvironment(place, root, folder, realRandom.hex(8));
    say("the environment is in the store");
    return WORKER_EXIT.done;
  } catch (error) {
    if (!(error instanceof EnvironmentFailed)) throw error;
    process.stderr.write(`${error.message}\n${error.outputTail}\n`);
    leaveWords(lastWords(error));
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

/** The sentence, then the last lines of what the installer said, as many bytes as there is room for. */
export function lastWords({ message, outputTail }: EnvironmentFailed): string {
  const sentence = Buffer.from(message).subarray(0, SENTENCE_BYTES_MAX);
  const room = TERMINATION_BYTES_MAX - SENTENCE_BYTES_MAX - 1;
  const tail = Buffer.from(outputTail).subarray(-room);
  return `${wholeCharacters(sentence)}\n${wholeCharacters(tail)}`;
}

/** Without what a cut through a character leaves at either end. */
function wholeCharacters(bytes: Buffer): string {
  return bytes.toString("utf8").replaceAll("\uFFFD", "");
}

function leaveWords(words: string): void {
  try {
    writeFileSync(TERMINATION_LOG, words, { flag: "r+" });
  } catch {
    // only pods have this file; stderr has it all
  }
}
