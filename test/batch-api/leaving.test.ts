import type { AddressInfo } from "node:net";
import { describe, expect, it, vi } from "vitest";
import { realClock } from "../../services/backends/clock.real.ts";
import { anApp } from "../support/an-app.ts";

/** Doors with one request under way, which ends when it is let. */
async function asked(drainSeconds: number) {
  const { app, jobs } = await anApp({ drainSeconds, clock: realClock });
  const gate = Promise.withResolvers<undefined>();
  const begun = Promise.withResolvers<undefined>();
  const submit = jobs.submit.bind(jobs);
  jobs.submit = async (...args) => {
    begun.resolve(undefined);
    await gate.promise;
    return submit(...args);
  };
  await app.listen({ host: "127.0.0.1", port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const address = `http://127.0.0.1:${String(port)}/v1/apis/digits/jobs`;
  const headers = { "content-type": "application/json" };
  const answer = fetch(address, { method: "POST", headers, body: '{"item_list":{"items":[1]}}' });
  answer.catch(() => undefined); // judged by the test
  await begun.promise;
  return { app, address, answer, end: () => gate.resolve(undefined) };
}

describe("doors that close", () => {
  it("answer what is under way, let nobody else in, and are closed with the last answer", async () => {
    const { app, address, answer, end } = await asked(60);

    const closed = app.close();
    await vi.waitFor(() => expect(app.server.listening).toBe(false));
    await expect(fetch(address)).rejects.toThrow();
    end();

    expect((await answer).status).toBe(202);
    await closed;
  });

  it("cut what takes longer", async () => {
    const { app, answer, end } = await asked(0.3);

    await app.close();

    await expect(answer).rejects.toThrow();
    end();
  });

  it("cut everything at once where they are not told to wait", async () => {
    const { app, answer, end } = await asked(0);

    await app.close();

    await expect(answer).rejects.toThrow();
    end();
  });
});
