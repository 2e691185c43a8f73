/** Sessions with containers of a test, ended with it. */
import { afterEach } from "vitest";
import { realClock } from "../../../services/backends/clock.real.ts";
import type { ProbeSpec } from "../../../services/protocol/api-spec.ts";
import { ContainerGate } from "../../../services/worker/handlers/container-gate.ts";
import { startContainerHandler, type ContainerHandler } from "../../../services/worker/handlers/handler.container.ts";
import { AContainer, aContainerSpec } from "../../support/a-container.ts";

export const META = { batch_id: "0b5c9d1e-0000-5000-8000-000000000001", attempt: 2, items: 2, first: 10 };
export const ITEMS = Buffer.from('[{"url":"a?x=1&y=2"}, 12345678901234567890]');
export const NO_ROWS = { kind: "done", rows: null, bytes: Buffer.alloc(0) };

/** Whatever must be closed when the test has ended. */
export const started: { close: () => Promise<unknown> }[] = [];

afterEach(async () => {
  for (const one of started.splice(0).reverse()) await one.close();
});

export async function aContainer(onPost?: AContainer["onPost"]): Promise<AContainer> {
  const container = await AContainer.up(onPost);
  started.push({ close: () => container.die() });
  return container;
}

interface Session {
  readonly handler: ContainerHandler;
  readonly gate: ContainerGate;
  readonly said: string[];
  /** Another one on the same gate, as a worker starts it when one has ended. */
  next(): ContainerHandler;
}

export function aSession(
  port: number,
  over: { probe?: ProbeSpec; startSeconds?: number; cortexProject?: boolean } = {},
): Session {
  const gate = new ContainerGate({
    handler: aContainerSpec(port, over.probe ?? null, over.startSeconds),
    clock: realClock,
  });
  const said: string[] = [];
  const next = () => {
    const handler = startContainerHandler({
      ...{ gate, clock: realClock, port, job: "e00000000000000a", cortexProject: over.cortexProject ?? false },
      output: ({ text }) => said.push(text),
    });
    started.push(handler);
    return handler;
  };
  return { handler: next(), gate, said, next };
}

export async function aReady(port: number, over: Parameters<typeof aSession>[1] = {}): Promise<Session> {
  const session = aSession(port, over);
  await session.handler.start();
  return session;
}
