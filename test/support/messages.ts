import type { BatchMessage } from "../../services/protocol/messages.ts";

/** A batch of ten items of one source. */
export function aMessage(batch = 0, changes: Partial<BatchMessage> = {}): BatchMessage {
  const span = { uri: "file:///photos.jsonl", etag: "1-2-3", format: "lines" as const };
  return {
    kind: "batch",
    format: 1,
    job: "00000000000000aa",
    epoch: 1,
    batch,
    attempt: 1,
    first_item: 10 * batch,
    pointer: { items: 10, spans: [{ ...span, start: 3000 * batch, end: 3000 * (batch + 1), items: 10 }] },
    ...changes,
  };
}

export function messages(count: number): readonly BatchMessage[] {
  return Array.from({ length: count }, (_, batch) => aMessage(batch));
}
