/** Errors as Cortex said them: status 400, `{kind, message}` (contract B.3). */
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { Problem, type ProblemCode } from "../../protocol/problems.ts";
import { sayWhenToRetry, toProblem } from "../routes/problem-reply.ts";
import type { CortexDialect } from "./cortex-dialects.ts";

const SCHEMA_NOTE = "\n\njob submission schema can be found at https://docs.cortex.dev/v/0.42/";

/** The body is no JSON, or of other types. */
export function cortexDecodeError(message: string): Problem {
  return new Problem("invalid_body", message + SCHEMA_NOTE);
}

/** A rule of B.3, in its order: `path` are the prefixes, joined as Cortex did. */
export function cortexRuleError(kind: string, path: readonly string[], message: string): Problem {
  return new Problem("invalid_body", [...path, message].join(": ") + SCHEMA_NOTE, [], { cortexKind: kind });
}

export function jobIdRequired(): Problem {
  const detail = "query parameter required: jobID (add ?jobID=<id> to the address)";
  return new Problem("invalid_request", detail, [], { cortexKind: "endpoints.query_param_required" });
}

interface CortexErrorBody {
  readonly kind: string;
  readonly message: string;
}

export function cortexErrorBody(error: unknown, request: FastifyRequest, dialect: CortexDialect): CortexErrorBody {
  const problem = toProblem(error, request);
  const tooLarge = (error as Partial<FastifyError>).code === "FST_ERR_CTP_BODY_TOO_LARGE";
  const kind = dialect.kinds[problem.cortexKind] ?? problem.cortexKind;
  return { kind, message: tooLarge ? "http: request body too large" : problem.message };
}

/**
 * What Cortex never said itself, but a balancer or gateway before it did, in statuses that clients act on: those who try 503
 * again find a starting service in a second.
 */
const OWN_STATUS: ReadonlySet<ProblemCode> = new Set([
  "service_starting",
  "not_authenticated",
  "scope_missing",
  "network_not_allowed",
  "auth_unwell",
]);

export function replyCortexError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  dialect: CortexDialect,
): void {
  const problem = toProblem(error, request);
  if (problem.status >= 500) request.log.error({ err: error }, "a request failed");
  sayWhenToRetry(problem, reply);
  void reply
    .status(OWN_STATUS.has(problem.code) ? problem.status : 400)
    .type("application/json")
    .send(cortexErrorBody(error, request, dialect));
}
