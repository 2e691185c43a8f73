/** The Cortex door (contract.md B): `/{api}` and `/batch/{api}`, for clients that were written for Cortex. */
import type { FastifyReply, FastifyRequest } from "fastify";
import { isReservedApiName } from "../../protocol/api-names.ts";
import type { ApiVersion } from "../../protocol/jobs.ts";
import { Problem } from "../../protocol/problems.ts";
import type { App, Door } from "../routes/door.ts";
import { refuseWhileStarting } from "../routes/guards.ts";
import { idempotencyKey } from "../routes/jobs.ts";
import { endedAt } from "../routes/job-wire.ts";
import { anyJson } from "../routes/schemas.ts";
import { CORTEX_DIALECT_DEFAULT, cortexDialect } from "./cortex-dialects.ts";
import type { CortexDialect } from "./cortex-dialects.ts";
import { cortexErrorBody, jobIdRequired, replyCortexError } from "./cortex-errors.ts";
import { parseCortexSubmission } from "./cortex-submission.ts";
import { jobToCortex, specToCortex } from "./cortex-wire.ts";

/** Seconds after its end in which a job could still be deleted there. */
const DELETABLE_SECONDS = 40;

interface Asked {
  readonly version: ApiVersion;
  readonly dialect: CortexDialect;
}

type Handler = (asked: Asked, request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;

export function cortexRoutes(app: App, door: Door): void {
  const asked = new WeakMap<FastifyRequest, Asked>();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_, body, done) => {
    done(null, body);
  });
  app.setErrorHandler((error, request, reply) => {
    replyCortexError(error, request, reply, asked.get(request)?.dialect ?? cortexDialect(CORTEX_DIALECT_DEFAULT));
  });
  app.addHook("onRequest", async (request, reply) => {
    const api = (request.params as { readonly api: string }).api;
    if (isReservedApiName(api)) {
      reply.callNotFound();
      return reply;
    }
    void reply.header("access-control-allow-origin", "*");
    if (request.method === "OPTIONS") return undefined;
    refuseWhileStarting(door.readiness());
    // Before the body is read: an unknown name is the first fault that is told.
    asked.set(request, await lookUp(door, api));
    return undefined;
  });
  const run = (handler: Handler) => async (request: FastifyRequest, reply: FastifyReply) => {
    const known = asked.get(request) ?? (await lookUp(door, (request.params as { readonly api: string }).api));
    return handler(known, request, reply);
  };
  for (const address of ["/:api", "/batch/:api"]) {
    app.post(address, { schema: schemaOf("Submit a job") }, run(submit(door)));
    app.options(address, { schema: { hide: true } }, answerPreflight);
    for (const spelling of [address, `${address}/:id`]) {
      app.get(spelling, { schema: schemaOf("Look at a job") }, run(get(door)));
      app.delete(spelling, { schema: schemaOf("Stop a job") }, run(stop(door)));
    }
  }
}

function schemaOf(summary: string) {
  const responses = {
    200: anyJson("As Cortex answered"),
    400: anyJson("{kind, message}"),
  };
  return { summary: `${summary} (Cortex 0.42)`, tags: ["cortex"], response: responses };
}

async function lookUp({ apis }: Door, api: string): Promise<Asked> {
  try {
    const { current } = await apis.get(api);
    return { version: current, dialect: cortexDialect(current.spec.cortex_dialect) };
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== "api_not_found") throw error;
    throw new Problem("api_not_found", `${api} is not deployed`);
  }
}

async function answerPreflight(_: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  void reply.header("access-control-allow-methods", "GET, HEAD, POST, PUT, OPTIONS");
  return reply.header("access-control-allow-headers", "*").send();
}

function submit({ jobs }: Door): Handler {
  return async ({ version, dialect }, request, reply) => {
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    if (goBool((request.query as Readonly<Record<string, unknown>>)["dryRun"])) {
      return dryRun({ jobs }, { version, dialect }, body, request, reply);
    }
    const { submission, warnings } = parseCortexSubmission(body);
    const options = { principal: request.principal, warnings, ...idempotencyKey(request) };
    return specToCortex((await jobs.submit(version.api, submission, options)).spec, dialect);
  };
}

/** B.5: plain text, also for the rules of B.3; what is no JSON is told as JSON. */
async function dryRun(
  { jobs }: Pick<Door, "jobs">,
  { version, dialect }: Asked,
  body: Buffer,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  try {
    const found = await jobs.dryRun(version.api, parseCortexSubmission(body).submission);
    const more = found.objects - found.uris.length;
    const lines = more > 0 ? [...found.uris, `... and ${String(more)} more`] : found.uris;
    return await reply.type("text/plain").send([...lines, "validations passed"].join("\n"));
  } catch (error) {
    if (!(error instanceof Problem) || error.status >= 500 || isDecodeError(error)) throw error;
    return reply
      .status(400)
      .type("text/plain")
      .send(`\n${cortexErrorBody(error, request, dialect).message}\n`);
  }
}

function isDecodeError(problem: Problem): boolean {
  return problem.code === "invalid_body" && problem.cortexKind === "error";
}

/** strconv.ParseBool, where anything else is false. */
function goBool(value: unknown): boolean {
  return typeof value === "string" && ["1", "t", "T", "TRUE", "true", "True"].includes(value);
}

/** `?jobID=<id>`, `/<id>`, or `/jobID=<id>`. */
function jobIdOf(request: FastifyRequest): string {
  const { id } = request.params as { readonly id?: string };
  const asked = id?.replace(/^jobID=/, "") ?? (request.query as Readonly<Record<string, unknown>>)["jobID"];
  if (typeof asked !== "string" || asked === "") throw jobIdRequired();
  return asked;
}

function get({ jobs }: Door): Handler {
  return async ({ version, dialect }, request) => {
    const view = await jobs.get(version.api, jobIdOf(request));
    return jobToCortex(view, version, `${request.protocol}://${request.host}/${version.api}`, dialect);
  };
}

function stop({ jobs, clock }: Door): Handler {
  return async ({ version, dialect }, request) => {
    const job = jobIdOf(request);
    const answer = { message: `stopped job ${job}` };
    try {
      await jobs.stop(version.api, job);
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== "job_is_final") throw error;
      const ended = endedAt(await jobs.get(version.api, job)) ?? 0;
      const late = clock.wallMs() - ended > DELETABLE_SECONDS * 1000;
      if (late || dialect.stopOfEnded === "refused") throw error;
    }
    return answer;
  };
}
