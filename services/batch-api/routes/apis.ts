import { Readable } from "node:stream";
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { Type } from "typebox";
import { apiNameFault, isReservedApiName } from "../../protocol/api-names.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { Problem } from "../../protocol/problems.ts";
import type { Deployed } from "../apis/api-service.ts";
import { apiToWire } from "./api-wire.ts";
import type { App, Door } from "./door.ts";
import { replyProblem, toProblem } from "./problem-reply.ts";
import { ApiParams, NoQuery, ProblemRef, ref } from "./schemas.ts";

const problems = { "4xx": ProblemRef, "5xx": ProblemRef };

/** Deploy, list, look at and remove APIs. */
export function apiRoutes(app: App, door: Door): void {
  const { apis } = door;
  app.get(
    "/v1/apis",
    {
      schema: {
        summary: "List APIs",
        querystring: NoQuery,
        response: { 200: ref("ApiList", "All APIs"), ...problems },
      },
    },
    async () => {
      const { views, damaged } = await apis.list();
      return { apis: views.map(apiToWire), damaged };
    },
  );
  app.get(
    "/v1/apis/:api",
    {
      schema: {
        summary: "Look at an API",
        params: ApiParams,
        querystring: NoQuery,
        response: { 200: ref("Api", "The API"), ...problems },
      },
    },
    async (request) => apiToWire(await apis.get(request.params.api)),
  );
  app.delete(
    "/v1/apis/:api",
    {
      schema: {
        summary: "Remove an API",
        description: "Stops its jobs, waits for their final states, then removes it.",
        params: ApiParams,
        querystring: NoQuery,
        response: { 204: Type.Unsafe<unknown>({ description: "Removed", type: "null" }), ...problems },
      },
    },
    async (request, reply) => {
      await apis.remove(request.params.api);
      return reply.status(204).send(null);
    },
  );
  deployRoute(app, door);
}

function deployRoute(app: App, { apis }: Door): void {
  const types = ["application/gzip", "application/x-gzip"];
  app.addContentTypeParser(types, { parseAs: "buffer", bodyLimit: LIMITS.projectBytesMax }, (_, body, done) => {
    done(null, body);
  });
  const schema = {
    summary: "Deploy a project",
    description:
      "The body is a tar.gz with a millrace.yaml or cortex.yaml at its root. With `Accept: application/x-ndjson` lines of" +
      " {progress}, then one of {change, api} or {problem}; else one JSON at the end.",
    consumes: ["application/gzip"],
    params: ApiParams,
    querystring: NoQuery,
    response: { 200: ref("Deployed", "Updated or unchanged"), 201: ref("Deployed", "Created"), ...problems },
  };
  app.put("/v1/apis/:api", { schema, errorHandler: tooLargeIsTheProject }, async (request, reply) => {
    const { api } = request.params;
    checkName(api);
    const archive = archiveOf(request);
    const deploy = (progress: (sentence: string) => void) => apis.deploy(api, archive, progress);
    if ((request.headers.accept ?? "").includes("application/x-ndjson")) {
      const lines = new Readable({ read: () => undefined });
      void tellProgress(lines, deploy, request); // never rejects: its errors are lines
      return reply.type("application/x-ndjson").send(lines);
    }
    const deployed = await deploy((sentence) => {
      request.log.info({ api }, sentence);
    });
    return reply.status(deployed.change === "created" ? 201 : 200).send(deployedToWire(deployed));
  });
}

function checkName(api: string): void {
  const fault = apiNameFault(api, "api");
  if (fault !== undefined) throw new Problem("invalid_request", "", [fault]);
  if (!isReservedApiName(api)) return;
  const fix = "give the API another name";
  throw new Problem("name_reserved", "", [{ field: "api", found: `"${api}", a word of the service's own`, fix }]);
}

function archiveOf(request: FastifyRequest): Buffer {
  const body = request.body;
  if (Buffer.isBuffer(body) && body.length > 0) return body;
  const fix = "send the project as tar.gz";
  throw new Problem("project_invalid", "", [{ field: "body", found: "nothing", fix }]);
}

function deployedToWire(deployed: Deployed) {
  return { change: deployed.change, api: apiToWire(deployed.view) };
}

/** The deployment goes on when the client goes away: half an environment helps nobody. */
async function tellProgress(
  lines: Readable,
  deploy: (progress: (sentence: string) => void) => Promise<Deployed>,
  request: FastifyRequest,
): Promise<void> {
  const say = (line: unknown) => {
    if (!lines.destroyed) lines.push(`${JSON.stringify(line)}\n`);
  };
  try {
    say(
      deployedToWire(
        await deploy((progress) => {
          say({ progress });
        }),
      ),
    );
  } catch (error) {
    const problem = toProblem(error, request);
    if (problem.status >= 500) request.log.error({ err: error }, "a deployment failed");
    say({ problem });
  }
  if (!lines.destroyed) lines.push(null);
}

function tooLargeIsTheProject(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  if (error.code !== "FST_ERR_CTP_BODY_TOO_LARGE") {
    replyProblem(error, request, reply);
    return;
  }
  const most = `${String(LIMITS.projectBytesMax / (1024 * 1024))} MiB`;
  const fix = "leave data and models out with a .millraceignore file, and fetch them in the handler";
  const fault = { field: "body", found: `more than ${most}`, fix };
  replyProblem(new Problem("project_too_large", "", [fault]), request, reply);
}
