/** A server of SQS's JSON protocol that answers as a test says, request by request. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

interface Entry {
  readonly Id: string;
  readonly MessageBody?: string;
  readonly ReceiptHandle?: string;
  readonly VisibilityTimeout?: number;
}

export interface SqsAsk {
  /** Such as `SendMessageBatch`. */
  readonly action: string;
  readonly body: {
    readonly QueueUrl: string;
    readonly Entries?: readonly Entry[];
    readonly MaxNumberOfMessages?: number;
    readonly WaitTimeSeconds?: number;
    readonly VisibilityTimeout?: number;
  };
  /** Name of the access key that signed it. */
  readonly accessKey: string;
}

/** A body; an error of the service; or the connection is reset instead of an answer. */
export type SqsReply =
  | { readonly kind: "done"; readonly body: object }
  | { readonly kind: "error"; readonly code: string; readonly status: number; readonly message: string }
  | { readonly kind: "reset" };

export type SqsScript = (ask: SqsAsk) => SqsReply | Promise<SqsReply>;

export interface ScriptedSqs {
  readonly endpoint: string;
  readonly asks: readonly SqsAsk[];
  script: SqsScript;
  close(): Promise<void>;
}

export async function startScriptedSqs(): Promise<ScriptedSqs> {
  const asks: SqsAsk[] = [];
  const server = createServer((request, response) => {
    void answer(fake, asks, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const fake: ScriptedSqs = {
    endpoint: `http://127.0.0.1:${String(port)}`,
    asks,
    script: allDone,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => {
          resolve();
        });
      }),
  };
  return fake;
}

export function done(body: object = {}): SqsReply {
  return { kind: "done", body };
}

export function error(code: string, status = 400, message = "in the service's own words"): SqsReply {
  return { kind: "error", code, status, message };
}

export const reset: SqsReply = { kind: "reset" };

/** Every entry done; no messages. */
export function allDone({ body }: SqsAsk): SqsReply {
  return done({ Successful: (body.Entries ?? []).map(({ Id }) => ({ Id })), Failed: [] });
}

/** The entries whose text or receipt fits fail so, the others are done. */
export function failing(fits: (word: string) => boolean, code: string, senderFault: boolean): SqsScript {
  return ({ body }) => {
    const failed = (body.Entries ?? []).filter((entry) => fits(entry.MessageBody ?? entry.ReceiptHandle ?? ""));
    const ids = new Set(failed.map(({ Id }) => Id));
    return done({
      Successful: (body.Entries ?? []).filter(({ Id }) => !ids.has(Id)).map(({ Id }) => ({ Id })),
      Failed: [...ids].map((Id) => ({ Id, Code: code, SenderFault: senderFault, Message: "no" })),
    });
  };
}

/** One after the other; the last one for all that follow. */
export function inTurn(...scripts: readonly SqsScript[]): SqsScript {
  let turn = 0;
  return (ask) => (scripts[Math.min(turn++, scripts.length - 1)] ?? allDone)(ask);
}

export function received(...messages: readonly { readonly text: string; readonly receipt: string }[]): SqsReply {
  return done({
    Messages: messages.map(({ text, receipt }) => {
      return { Body: text, ReceiptHandle: receipt, Attributes: { ApproximateReceiveCount: "3" } };
    }),
  });
}

async function answer(fake: ScriptedSqs, asks: SqsAsk[], request: IncomingMessage, response: ServerResponse) {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const target = String(request.headers["x-amz-target"]);
  const ask: SqsAsk = {
    action: target.slice(target.indexOf(".") + 1),
    body: JSON.parse(Buffer.concat(chunks).toString()) as SqsAsk["body"],
    accessKey: /Credential=([^/]*)/.exec(request.headers.authorization ?? "")?.[1] ?? "",
  };
  asks.push(ask);
  const reply = await fake.script(ask);
  if (reply.kind === "reset") {
    response.destroy();
    return;
  }
  response.setHeader("content-type", "application/x-amz-json-1.0");
  if (reply.kind === "error") {
    response.statusCode = reply.status;
    response.end(JSON.stringify({ __type: `com.amazonaws.sqs#${reply.code}`, message: reply.message }));
    return;
  }
  response.end(JSON.stringify(reply.body));
}
