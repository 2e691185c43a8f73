/** A cluster's store as this machine reads it: with its own credentials and region. */
import { S3Store } from "../services/backends/object-store.s3.ts";
import { s3AccessFrom } from "../services/backends/s3/s3-requests.ts";
import type { ObjectStore } from "../services/backends/object-store.ts";
import { CliError } from "./cli-error.ts";
import type { Cli } from "./cli.ts";

/** The command's own environment, which the SDK does not read; empty: the SDK's default chain. */
export function credentialsIn(environment: Cli["environment"]) {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = environment;
  const { AWS_SESSION_TOKEN: sessionToken } = environment;
  if (accessKeyId === undefined || secretAccessKey === undefined) return {};
  return { credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) } };
}

/** Who waits at a terminal wants an answer, not patience. */
const BUDGET = { attemptsMax: 4, seconds: 20, credentialsSeconds: 0, firstCredentialsSeconds: 0 };

/** Throws `CliError`. */
export function openBucket({ environment, clock, random }: Cli, uri: string): ObjectStore {
  const bucket = /^s3:\/\/([a-z0-9][a-z0-9.-]+)\/?$/.exec(uri)?.[1];
  if (bucket === undefined) {
    throw new CliError(`--store: found "${uri}", which names no bucket; give s3://BUCKET, without a path`);
  }
  const region = environment.AWS_REGION ?? environment.AWS_DEFAULT_REGION ?? "";
  if (region === "") throw new CliError("--store: AWS_REGION is not set; write the region of the bucket there");
  const access = { ...s3AccessFrom(environment), region, ...credentialsIn(environment) };
  return new S3Store({ bucket, access, budget: BUDGET, clock, random });
}
