/** CloudWatch Logs behind node:http, scripted: it keeps the limits that AWS keeps, and answers what a test tells it to. */
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface FakeEvent {
  readonly timestamp: number;
  readonly message: string;
}

export interface FakeCall {
  readonly operation: string;
  readonly input: Readonly<Record<string, unknown>>;
}

export interface FakeAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  /** Done all the same, though this is what is answered. */
  readonly done?: boolean;
}

export interface FakeLogs {
  readonly endpoint: string;
  /** Of the group `g`, by name of the stream. */
  readonly streams: Map<string, FakeEvent[]>;
  readonly calls: FakeCall[];
  /** The answers to the next calls of an operation. */
  readonly script: Map<string, FakeAnswer[]>;
  /** When set, every call of these operations is answered with it. */
  always: ((call: FakeCall) => FakeAnswer | undefined) | undefined;
  /** Unix milliseconds of the service's own clock. */
  now: () => number;
  /** What its answers say of that, when it is something else. */
  told: (() => number) | undefined;
  /** Events in an answer to a FilterLogEvents, few, so that paging is seen; each second answer is empty. */
  pageEvents: number;
  put(): readonly (readonly FakeEvent[])[];
  close(): Promise<void>;
}

export function refusal(type: string, status = 400): FakeAnswer {
  return { status, body: { __type: type, message: "no" } };
}

export async function startFakeLogs(): Promise<FakeLogs> {
  const server = createServer((request, response) => void answer(fake, request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const fake: FakeLogs = {
    endpoint: `http://127.0.0.1:${String(port)}`,
    streams: new Map(),
    calls: [],
    script: new Map(),
    always: undefined,
    now: () => Date.now(),
    told: undefined,
    pageEvents: 2,
    put: () => fake.calls.filter(({ operation }) => operation === "PutLogEvents").map(({ input }) => eventsOf(input)),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return fake;
}

async function answer(fake: FakeLogs, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const operation = String(request.headers["x-amz-target"]).split(".").at(-1) ?? "";
  const call = { operation, input: JSON.parse(Buffer.concat(chunks).toString()) as Readonly<Record<string, unknown>> };
  fake.calls.push(call);
  const told = fake.script.get(operation)?.shift() ?? fake.always?.(call);
  const done = told === undefined || told.done === true ? act(fake, call) : undefined;
  const { status, body } = told ?? done ?? refusal("InternalFailure", 500);
  const date = new Date((fake.told ?? fake.now)()).toUTCString();
  response.writeHead(status, { "content-type": "application/x-amz-json-1.1", date });
  response.end(JSON.stringify(body));
}

function act(fake: FakeLogs, { operation, input }: FakeCall): FakeAnswer {
  if (input["logGroupName"] !== "g") return refusal("ResourceNotFoundException");
  const stream = String(input["logStreamName"]);
  if (operation === "CreateLogStream") {
    if (fake.streams.has(stream)) return refusal("ResourceAlreadyExistsException");
    fake.streams.set(stream, []);
    return { status: 200, body: {} };
  }
  if (operation === "PutLogEvents") return put(fake, fake.streams.get(stream), eventsOf(input));
  if (operation === "FilterLogEvents") return filter(fake, input);
  return refusal("InvalidParameterException");
}

function put(fake: FakeLogs, stream: FakeEvent[] | undefined, events: readonly FakeEvent[]): FakeAnswer {
  if (stream === undefined) return refusal("ResourceNotFoundException");
  const bytes = events.reduce((sum, { message }) => sum + Buffer.byteLength(message) + 26, 0);
  const inOrder = events.every(({ timestamp }, at) => timestamp >= (events[at - 1]?.timestamp ?? 0));
  const spanMs = (events.at(-1)?.timestamp ?? 0) - (events[0]?.timestamp ?? 0);
  if (events.length < 1 || events.length > 10_000 || bytes > 1_048_576 || !inOrder || spanMs > 24 * 3600_000) {
    return refusal("InvalidParameterException");
  }
  const now = fake.now();
  const old = events.filter(({ timestamp }) => timestamp < now - 14 * 24 * 3600_000).length;
  const fresh = events.filter(({ timestamp }) => timestamp <= now + 2 * 3600_000).length;
  stream.push(...events.slice(old, fresh));
  const rejectedLogEventsInfo = {
    ...(old === 0 ? {} : { tooOldLogEventEndIndex: old }),
    ...(fresh === events.length ? {} : { tooNewLogEventStartIndex: fresh }),
  };
  return { status: 200, body: old === 0 && fresh === events.length ? {} : { rejectedLogEventsInfo } };
}

function filter(fake: FakeLogs, input: FakeCall["input"]): FakeAnswer {
  const { logStreamNamePrefix = "", startTime = 0, limit = 10_000, nextToken = "0" } = input;
  const events = [...fake.streams]
    .filter(([name]) => name.startsWith(String(logStreamNamePrefix)))
    .flatMap(([logStreamName, written]) =>
      written.map((event, at) => ({ ...event, logStreamName, eventId: `${logStreamName}#${String(at)}` })),
    )
    .filter(({ timestamp }) => timestamp >= Number(startTime))
    .sort((a, b) => a.timestamp - b.timestamp);
  const turn = Number(nextToken);
  const isEmpty = turn % 2 === 0;
  const size = Math.min(fake.pageEvents, Number(limit));
  const from = ((turn - 1) / 2) * size;
  const page = isEmpty ? [] : events.slice(from, from + size);
  const more = isEmpty || from + size < events.length;
  return { status: 200, body: { events: page, ...(more ? { nextToken: String(turn + 1) } : {}) } };
}

function eventsOf(input: FakeCall["input"]): readonly FakeEvent[] {
  return (input["logEvents"] ?? []) as readonly FakeEvent[];
}
