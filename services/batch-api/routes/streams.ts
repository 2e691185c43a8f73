import type { Static } from "typebox";
import type { LogLine, LogQuery } from "../../backends/log-store.ts";
import { Problem } from "../../protocol/problems.ts";
import type { App, Door } from "./door.ts";
import { isoTime, jobToWire } from "./job-wire.ts";
import type { JobView } from "../jobs/job-service.ts";
import { JobParams, LogsQuery, media, NoQuery, ProblemRef, RowsQuery } from "./schemas.ts";
import { sendStream, toEvents, toLines } from "./streaming.ts";

const NDJSON = "application/x-ndjson";
const problems = { "4xx": ProblemRef, "5xx": ProblemRef };

/** Results, errors, logs and events of a job: all of them streams. */
export function streamRoutes(app: App, door: Door): void {
  rowRoutes(app, door);
  logRoute(app, door);
  eventRoute(app, door);
}

function rowRoutes(app: App, { jobs }: Door): void {
  const schemaOf = (summary: string) => ({
    schema: {
      summary,
      params: JobParams,
      querystring: RowsQuery,
      response: { 200: media(NDJSON, "One row a line"), ...problems },
    },
  });
  app.get("/v1/apis/:api/jobs/:job/results", schemaOf("Managed results, in input order"), async (request, reply) => {
    const { api, job } = request.params;
    const { follow, family } = rowsAsked(request.query);
    await jobs.get(api, job);
    return sendStream(reply, NDJSON, (signal) => jobs.results(api, job, { follow, family, signal }), follow);
  });
  app.get("/v1/apis/:api/jobs/:job/errors", schemaOf("Failed items, in input order"), async (request, reply) => {
    const { api, job } = request.params;
    const { follow, family } = rowsAsked(request.query);
    await jobs.get(api, job);
    return sendStream(reply, NDJSON, (signal) => toLines(jobs.errors(api, job, { follow, family, signal })), follow);
  });
}

/** A family's rows are merged by index, so that the first one needs every job of it to have ended. Throws `Problem`. */
function rowsAsked({ follow = false, family = false }: Static<typeof RowsQuery>) {
  if (!follow || !family) return { follow, family };
  const fix = "leave one out: a family's rows are those of its jobs that have ended";
  throw new Problem("invalid_request", "", [{ field: "family", found: "follow as well", fix }]);
}

function logRoute(app: App, { jobs }: Door): void {
  const schema = {
    summary: "What workers and handlers said",
    description: "The header millrace-cursor of a page is the cursor of the next one.",
    params: JobParams,
    querystring: LogsQuery,
    response: { 200: media(NDJSON, "One log line a line"), ...problems },
  };
  app.get("/v1/apis/:api/jobs/:job/logs", { schema }, async (request, reply) => {
    const { api, job } = request.params;
    const { follow, worker, cursor, limit } = request.query;
    const query: LogQuery = {
      ...(worker === undefined ? {} : { worker }),
      ...(cursor === undefined ? {} : { cursor }),
      ...(limit === undefined ? {} : { linesMax: limit }),
    };
    await jobs.get(api, job);
    if (follow === true) {
      await jobs.logs(api, job, { ...query, linesMax: 1 }); // a cursor that is none is refused before anything is sent
      return sendStream(reply, NDJSON, (signal) => logLines(jobs.followLogs(api, job, query, signal)), true);
    }
    const page = await jobs.logs(api, job, query);
    const body = page.lines.map((line) => `${JSON.stringify(logToWire(line))}\n`).join("");
    return reply.type(NDJSON).header("millrace-cursor", page.cursor).send(body);
  });
}

async function* logLines(lines: AsyncIterable<LogLine>): AsyncIterable<string> {
  for await (const line of lines) yield `${JSON.stringify(logToWire(line))}\n`;
}

function logToWire(line: LogLine) {
  return { ...line, at: isoTime(line.at) };
}

function eventRoute(app: App, { jobs, clock, heartbeatSeconds }: Door): void {
  const schema = {
    summary: "The job now, and at each change",
    description: "Server-sent events: `job` with the job as data, the last one final, then `end`.",
    params: JobParams,
    querystring: NoQuery,
    response: { 200: media("text/event-stream", "Events"), ...problems },
  };
  app.get("/v1/apis/:api/jobs/:job/events", { schema }, async (request, reply) => {
    const { api, job } = request.params;
    await jobs.get(api, job);
    const produce = (signal: AbortSignal) =>
      toEvents("job", onWire(jobs.events(api, job, signal)), heartbeatSeconds, clock, signal);
    return sendStream(reply.header("x-accel-buffering", "no"), "text/event-stream", produce, true);
  });
}

async function* onWire(views: AsyncIterable<JobView>): AsyncIterable<unknown> {
  for await (const view of views) yield jobToWire(view);
}
