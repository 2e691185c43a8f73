/** Messages as SQS takes them. */
import { encodeMessage } from "../../protocol/messages.ts";
import type { Message } from "../../protocol/messages.ts";

/** Of one request, and of one message. */
export const GROUP_BYTES_MAX = 1_048_576;
/** Of one request of any kind. */
export const GROUP_ENTRIES_MAX = 10;

/** A message on its way, and its index among those that were to be sent. */
export interface Body {
  readonly index: number;
  readonly text: string;
  readonly attributes?: Readonly<Record<string, string>>;
  /** Of a FIFO queue: group and deduplication id. */
  readonly once?: string;
}

/**
 * SQS takes #x9, #xA, #xD, #x20 to #xD7FF, #xE000 to #xFFFD, and those beyond #xFFFF (its documentation of SendMessage),
 * which other servers of its protocol refuse. JSON escapes the controls and lone surrogates by itself.
 */
const ESCAPED = /[\ud800-\udfff\uFFFE\uFFFF]/g;

export function encodeBody(message: Message): string {
  return encodeMessage(message).replace(ESCAPED, (character) => `\\u${character.charCodeAt(0).toString(16)}`);
}

/** Groups that each fit one request. A message that fits none comes alone, and is for SQS to refuse. */
export function* groupsOf(messages: readonly Message[]): Generator<readonly Body[], void> {
  let group: Body[] = [];
  let groupBytes = 0;
  for (const [index, message] of messages.entries()) {
    const text = encodeBody(message);
    const bytes = Buffer.byteLength(text);
    if (group.length === GROUP_ENTRIES_MAX || (group.length > 0 && groupBytes + bytes > GROUP_BYTES_MAX)) {
      yield group;
      group = [];
      groupBytes = 0;
    }
    group.push({ index, text });
    groupBytes += bytes;
  }
  if (group.length > 0) yield group;
}

export function* tens<T>(entries: readonly T[]): Generator<readonly T[], void> {
  for (let at = 0; at < entries.length; at += GROUP_ENTRIES_MAX) yield entries.slice(at, at + GROUP_ENTRIES_MAX);
}
