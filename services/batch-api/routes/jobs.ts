import type { FastifyRequest } from "fastify";
import { apiOf } from "../../protocol/jobs.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { Problem } from "../../protocol/problems.ts";
import { parseRetry } from "../../protocol/retry.parse.ts";
import { parseSubmission } from "../../protocol/submission.parse.ts";
import type { App, Door } from "./door.ts";
import { jobPath, jobToWire } from "./job-wire.ts";
import { ApiParams, JobParams, ListQuery, NoQuery, ProblemRef, ref, SubmitQuery } from "./schemas.ts";

/** Submit, list, look at and stop jobs. */
export function jobRoutes(app: App, door: Door): void {
  app.addContentTypeParser(
    "application/json",
    { parseAs: "buffer", bodyLimit: LIMITS.requestBytesMax },
    (_, body, done) => {
      done(null, body);
    },
  );
  submitRoute(app, door);
  retryRoute(app, door);
  readRoutes(app, door);
}

function submitRoute(app: App, { jobs }: Door): void {
  const schema = {
    summary: "Submit a job",
    description: "With an Idempotency-Key header, the same body under the same key gives the same job.",
    params: ApiParams,
    querystring: SubmitQuery,
    response: { 200: ref("DryRun", "Checked only"), 202: ref("Job", "Accepted"), "4xx": ProblemRef, "5xx": ProblemRef },
  };
  app.post("/v1/apis/:api/jobs", { schema }, async (request, reply) => {
    const { api } = request.params;
    const submission = parseSubmission(bodyBytes(request));
    if (request.query.dry_run === true) return jobs.dryRun(api, submission);
    const view = await jobs.submit(api, submission, { principal: request.principal, ...idempotencyKey(request) });
    return reply
      .status(202)
      .header("location", jobPath(apiOf(view.spec), view.spec.job))
      .send(jobToWire(view));
  });
}

function retryRoute(app: App, { jobs }: Door): void {
  const schema = {
    summary: "Run a job's failed items again, as a new job",
    description:
      "Of a job that has ended. The body is a Retry; without one, the failed items run on the newest version. With an " +
      "Idempotency-Key header, the same body under the same key gives the same job.",
    params: JobParams,
    querystring: NoQuery,
    response: { 202: ref("Job", "Accepted"), "4xx": ProblemRef, "5xx": ProblemRef },
  };
  app.post("/v1/apis/:api/jobs/:job/retry", { schema }, async (request, reply) => {
    const { api, job } = request.params;
    const options = { principal: request.principal, ...idempotencyKey(request) };
    const view = await jobs.retry(api, job, parseRetry(bodyBytes(request)), options);
    return reply
      .status(202)
      .header("location", jobPath(apiOf(view.spec), view.spec.job))
      .send(jobToWire(view));
  });
}

function bodyBytes(request: FastifyRequest): Buffer {
  return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
}

export function idempotencyKey(request: FastifyRequest): { readonly idempotencyKey?: string } {
  const key = request.headers["idempotency-key"];
  if (key === undefined) return {};
  const most = LIMITS.idempotencyKeyCharactersMax;
  if (typeof key === "string" && key.length <= most && /^[\x21-\x7e]+$/.test(key)) return { idempotencyKey: key };
  const found = Array.isArray(key)
    ? "several"
    : key.length > most
      ? `${String(key.length)} characters`
      : "an empty text or blanks";
  const fix = `give one of 1 to ${String(most)} printable ASCII characters without blanks`;
  throw new Problem("invalid_request", "", [{ field: "idempotency-key", found, fix }]);
}

function readRoutes(app: App, { jobs }: Door): void {
  const errors = { "4xx": ProblemRef, "5xx": ProblemRef };
  app.get(
    "/v1/apis/:api/jobs",
    {
      schema: {
        summary: "List jobs, newest first",
        params: ApiParams,
        querystring: ListQuery,
        response: { 200: ref("JobList", "A page"), ...errors },
      },
    },
    async (request) => {
      const page = await jobs.list(request.params.api, request.query);
      return { jobs: page.jobs.map(jobToWire), next: page.next ?? null };
    },
  );
  app.get(
    "/v1/apis/:api/jobs/:job",
    {
      schema: {
        summary: "Look at a job",
        params: JobParams,
        querystring: NoQuery,
        response: { 200: ref("Job", "The job now"), ...errors },
      },
    },
    async (request) => jobToWire(await jobs.get(request.params.api, request.params.job)),
  );
  app.post(
    "/v1/apis/:api/jobs/:job/stop",
    {
      schema: {
        summary: "Stop a job",
        description: "Returns when the wish is durable; the job then ends as stopped.",
        params: JobParams,
        querystring: NoQuery,
        response: { 202: ref("Job", "It will stop"), ...errors },
      },
    },
    async (request, reply) => {
      const view = await jobs.stop(request.params.api, request.params.job);
      return reply.status(202).send(jobToWire(view));
    },
  );
}
