/** Servers that fail now and then in every way they have, in the middle of a job. */
import type { CloudServers } from "../support/cloud-servers.ts";
import type { FaultRule } from "../support/faults.ts";

const LATE_MILLISECONDS = 3_000;

/** One request in so many, from an early one on. */
function oneIn(every: number): readonly number[] {
  return Array.from({ length: 2_000 }, (_, at) => 3 + at * every);
}

const thirdEntry = (at: number) => at % 3 === 0;

const RULES: Readonly<Record<"s3" | "sqs" | "logs", readonly FaultRule[]>> = {
  s3: [
    { name: "slow down", nth: oneIn(23), fault: { kind: "refuse", status: 503, code: "SlowDown" } },
    { name: "put whose reply is lost", method: "PUT", nth: oneIn(19), fault: { kind: "loseReply" } },
    {
      name: "put that lands late",
      method: "PUT",
      nth: oneIn(17),
      fault: { kind: "landLate", afterMilliseconds: LATE_MILLISECONDS },
    },
    { name: "reset mid-body", method: "GET", nth: oneIn(29), fault: { kind: "cutReply" } },
    { name: "lost request", nth: oneIn(31), fault: { kind: "loseRequest" } },
  ],
  sqs: [
    { name: "throttled", nth: oneIn(23), fault: { kind: "refuse", status: 400, code: "ThrottlingException" } },
    {
      name: "failed sends",
      operation: "SendMessageBatch",
      nth: oneIn(5),
      fault: { kind: "failEntries", code: "InternalError", senderFault: false, of: thirdEntry },
    },
    {
      name: "failed acks",
      operation: "DeleteMessageBatch",
      nth: oneIn(7),
      fault: { kind: "failEntries", code: "InternalError", senderFault: false, of: thirdEntry },
    },
    { name: "lost deliveries", operation: "ReceiveMessage", nth: oneIn(13), fault: { kind: "loseReply" } },
    { name: "lost sends", operation: "SendMessageBatch", nth: oneIn(17), fault: { kind: "loseRequest" } },
  ],
  logs: [{ name: "throttled", nth: oneIn(5), fault: { kind: "refuse", status: 400, code: "ThrottlingException" } }],
};

const SERVERS = ["s3", "sqs", "logs"] as const;

/** From now on, until `mend`. */
export function spoil({ proxies }: CloudServers, servers: readonly (typeof SERVERS)[number][]): void {
  for (const server of servers) for (const rule of RULES[server]) proxies[server].rules.add(rule);
}

export function mend({ proxies }: CloudServers): void {
  for (const server of SERVERS) proxies[server].rules.clear();
}

/** Faults that were set and never happened. */
export function unfired({ proxies }: CloudServers): readonly string[] {
  return SERVERS.flatMap((server) =>
    RULES[server].flatMap(({ name }) => (proxies[server].rules.fired(name) > 0 ? [] : [`${server}: ${name}`])),
  );
}

/** How often each fault happened. */
export function firedFaults({ proxies }: CloudServers): Readonly<Record<string, number>> {
  return Object.fromEntries(
    SERVERS.flatMap((server) =>
      RULES[server].map(({ name }) => [`${server}: ${name}`, proxies[server].rules.fired(name)] as const),
    ),
  );
}
