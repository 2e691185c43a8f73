/** Every error of the modern door leaves through here, as a problem of RFC 9457. */
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { CursorInvalid } from "../../backends/log-store.ts";
import { StoreBroken, StoreUnwell } from "../../backends/object-store.ts";
import { Unwell } from "../../backends/unwell.ts";
import { nearestWord } from "../../protocol/nearest-word.ts";
import { shownName } from "../../protocol/field-reader.ts";
import { Problem } from "../../protocol/problems.ts";
import type { Fault, ProblemCode } from "../../protocol/problems.ts";
import { UnreadableObject } from "../../protocol/stored.ts";
import { bodyTooLarge } from "../../protocol/submission.parse.ts";

type Validation = NonNullable<FastifyError["validation"]>[number];

export function replyProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = toProblem(error, request);
  if (problem.status >= 500) request.log.error({ err: error }, "a request failed");
  sayWhenToRetry(problem, reply);
  void reply.status(problem.status).type("application/problem+json").send(problem.toJSON());
}

export function sayWhenToRetry({ code }: Problem, reply: FastifyReply): void {
  const seconds = RETRY_SECONDS[code];
  if (seconds !== undefined) void reply.header("retry-after", seconds);
}

/** What passes by itself, or once an operator has mended it. */
const RETRY_SECONDS: Readonly<Partial<Record<ProblemCode, string>>> = {
  service_starting: "1",
  auth_unwell: "5",
  store_unwell: "5",
  backend_unwell: "5",
};

/** What a client is told of an error; of surprises nothing but where to look. */
export function toProblem(error: unknown, request: FastifyRequest): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof StoreBroken) return new Problem("store_unwell", `${error.message}.`, [], { cause: error });
  if (error instanceof Unwell) {
    const code = error instanceof StoreUnwell ? "store_unwell" : "backend_unwell";
    return new Problem(code, `${error.message}.`, [], { cause: error });
  }
  if (error instanceof CursorInvalid) {
    const fix = "give the header millrace-cursor of an earlier page, or leave it out";
    return new Problem("invalid_request", "", [{ field: "cursor", found: "a text that no page ended with", fix }]);
  }
  if (error instanceof UnreadableObject)
    return new Problem("object_damaged", `${error.message}.`, [], { cause: error });
  const { code, validation, validationContext, statusCode } = error as Partial<FastifyError>;
  if (validation !== undefined) {
    const known = knownNames(request, validationContext);
    return new Problem(
      "invalid_request",
      "",
      validation.map((one) => validationFault(one, known, request.query)),
    );
  }
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE") return bodyTooLarge();
  if (code === "FST_ERR_CTP_INVALID_MEDIA_TYPE") {
    const fix = "send JSON as content-type: application/json, a project archive as application/gzip";
    return new Problem("unsupported_media_type", "", [{ field: "content-type", found: "another type or none", fix }]);
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new Problem("invalid_request", "The request is not well-formed HTTP; check its headers and its length.");
  }
  const detail = `Something unexpected happened; the service's log says more at request ${request.id}.`;
  return new Problem("internal", detail, [], { cause: error });
}

function knownNames(request: FastifyRequest, context: string | undefined): readonly string[] {
  if (context !== "querystring") return [];
  const schema = request.routeOptions.schema?.querystring as { readonly properties?: object } | undefined;
  return Object.keys(schema?.properties ?? {});
}

function validationFault(error: Validation, known: readonly string[], query: unknown): Fault {
  const params = error.params as Readonly<Record<string, unknown>>;
  const field = error.instancePath.replace(/^\//, "").replaceAll("/", ".");
  switch (error.keyword) {
    case "additionalProperties": {
      const name = String(params["additionalProperty"]);
      const nearest = nearestWord(name, known);
      const others = known.length === 0 ? "remove it; there are none here" : `remove it; known are ${known.join(", ")}`;
      const fix = nearest === undefined ? others : `name it "${nearest}" or remove it`;
      return { field: shownName(name), found: "a parameter that is not known", fix };
    }
    case "type":
      return {
        field,
        found: kindOfParameter((query as Readonly<Record<string, unknown>>)[field]),
        fix: `give one ${TYPE_WORDS[String(params["type"])] ?? "value"}`,
      };
    case "enum":
      return { field, found: "another word", fix: `give one of ${(params["allowedValues"] as string[]).join(", ")}` };
    case "minimum":
    case "maximum":
      return {
        field,
        found: "a number outside the range",
        fix: `give a number ${String(params["comparison"])} ${String(params["limit"])}`,
      };
    case "maxLength":
      return { field, found: "a longer text", fix: `give at most ${String(params["limit"])} characters` };
    default:
      return {
        field: field === "" ? "request" : field,
        found: "something else",
        fix: error.message ?? "see /openapi.json",
      };
  }
}

function kindOfParameter(value: unknown): string {
  if (Array.isArray(value)) return "several values";
  return value === "" ? "an empty value" : "another kind of value";
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  integer: "whole number",
  number: "number",
  boolean: "of true and false",
  string: "text",
};
