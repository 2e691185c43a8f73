/** What requests were made while a job ran, by service and kind, and what AWS would charge for them at its list prices. */
import https from "node:https";
import type { KubeConfig } from "@kubernetes/client-node";
import type { CloudServers } from "./cloud-servers.ts";
import type { ProxiedRequest } from "./faults.ts";

/** Dollars a request, or a byte, in us-east-1. What is not listed is free. */
const PRICES: Readonly<Record<string, number>> = {
  "s3 PUT": 5e-6,
  "s3 LIST": 5e-6,
  "s3 GET": 0.4e-6,
  "s3 HEAD": 0.4e-6,
  "sqs SendMessageBatch": 0.4e-6,
  "sqs ReceiveMessage": 0.4e-6,
  "sqs DeleteMessageBatch": 0.4e-6,
  "sqs ChangeMessageVisibilityBatch": 0.4e-6,
  "sqs GetQueueAttributes": 0.4e-6,
  "logs bytes taken in": 0.5e-9,
};
/** CloudWatch Logs counts so many bytes for each event beside its message. */
const EVENT_BYTES = 26;

export type Bill = Readonly<Record<string, number>>;

export class RequestCounter {
  readonly #counts = new Map<string, number>();

  constructor({ proxies: { s3, sqs, logs } }: CloudServers) {
    s3.onRequest = (request) => {
      this.#add(`s3 ${s3Kind(request)}`);
    };
    sqs.onRequest = ({ operation }) => {
      this.#add(`sqs ${operation}`);
    };
    logs.onRequest = ({ operation, body }) => {
      this.#add(`logs ${operation}`);
      if (operation === "PutLogEvents") this.#add("logs bytes taken in", eventBytes(body));
    };
  }

  /** What was asked since the last call. */
  take(): Bill {
    const counts = Object.fromEntries([...this.#counts].sort());
    this.#counts.clear();
    return counts;
  }

  #add(what: string, count = 1): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + count);
  }
}

export function dollarsOf(bill: Bill): number {
  return Object.entries(bill).reduce((sum, [what, count]) => sum + count * (PRICES[what] ?? 0), 0);
}

export function priceOf(what: string): number {
  return PRICES[what] ?? 0;
}

/**
 * Requests that the API server has answered since its start for the kinds of objects that the service asks for, whoever asked:
 * kubelets and controllers ask for pods and Jobs too, by other verbs for the most part.
 */
export async function apiServerRequests(admin: KubeConfig): Promise<Bill> {
  const text = await metricsText(admin);
  const counts: Record<string, number> = {};
  for (const [, labels = "", value] of text.matchAll(/^apiserver_request_total\{([^}]*)\} (\d+)/gm)) {
    const { resource = "", verb = "", subresource = "" } = labelsOf(labels);
    if (!["jobs", "events", "podtemplates", "pods"].includes(resource) || subresource !== "") continue;
    const what = `kubernetes ${verb} ${resource}`;
    counts[what] = (counts[what] ?? 0) + Number(value);
  }
  return counts;
}

export function difference(later: Bill, earlier: Bill): Bill {
  return Object.fromEntries(
    Object.entries(later)
      .map(([what, count]) => [what, count - (earlier[what] ?? 0)] as const)
      .filter(([, count]) => count > 0)
      .sort(),
  );
}

function s3Kind({ method, path }: ProxiedRequest): string {
  return method === "GET" && path.includes("list-type=2") ? "LIST" : method;
}

function eventBytes(body: Buffer): number {
  const { logEvents = [] } = JSON.parse(body.toString()) as { readonly logEvents?: readonly { message: string }[] };
  return logEvents.reduce((sum, { message }) => sum + Buffer.byteLength(message) + EVENT_BYTES, 0);
}

function labelsOf(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries([...text.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = "", value = ""]) => [name, value]));
}

async function metricsText(admin: KubeConfig): Promise<string> {
  const options: https.RequestOptions = {};
  await admin.applyToHTTPSOptions(options);
  const url = new URL("/metrics", admin.getCurrentCluster()?.server);
  return new Promise((resolve, reject) => {
    https
      .get(url, options, (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (piece: string) => (text += piece));
        answer.once("end", () => {
          resolve(text);
        });
        answer.once("error", reject);
      })
      .once("error", reject);
  });
}
