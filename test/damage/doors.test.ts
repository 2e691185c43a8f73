/** What a person is told who asks, by the command line, the page or the REST API, while one object of the store is damaged. */
import type { AddressInfo } from "node:net";
import { Registry } from "prom-client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { realClock, realRandom } from "../../services/backends/clock.real.ts";
import { buildApp } from "../../services/batch-api/app.ts";
import { LOOPBACK_CALLERS } from "../../services/batch-api/auth/admission.ts";
import { verifyJob } from "../../services/batch-api/jobs/verify/verify.ts";
import type { App } from "../../services/batch-api/routes/door.ts";
import { Problem } from "../../services/protocol/problems.ts";
import { CliUser, type CliEnd } from "../support/a-cli.ts";
import { API, ServiceOverDamage } from "./a-service.ts";
import { DAMAGES, keysOfKinds, type DamagedKey } from "./damages.ts";

let service: ServiceOverDamage;
let app: App;
let user: CliUser;
let address: string;
let keys: readonly DamagedKey[];

beforeAll(async () => {
  service = await ServiceOverDamage.start();
  keys = await keysOfKinds(service);
  app = await buildApp({
    ...{ jobs: service.jobs, apis: service.apis, metrics: new Registry(), clock: realClock, random: realRandom },
    ...{ readiness: () => ({ kind: "ready" }), hosts: { kind: "any" }, authenticator: LOOPBACK_CALLERS, version: "0" },
  });
  await app.listen({ host: "127.0.0.1", port: 0 });
  address = `http://127.0.0.1:${String((app.server.address() as AddressInfo).port)}`;
  user = await CliUser.create();
});
afterAll(async () => {
  await app.close();
  await user.remove();
  await service.stop();
});

/** One damage of each kind of object at a time, mended afterwards. */
async function withEach(damage: string, look: (damaged: DamagedKey) => Promise<void>): Promise<void> {
  for (const damaged of keys) {
    service.store.damage(damaged.key, DAMAGES[damage]?.(await service.store.written(damaged.key)));
    try {
      await look(damaged);
    } finally {
      service.store.mend(damaged.key);
    }
  }
}

/** Nothing of the program itself: no stack, no words of a parser, no "something unexpected". */
const INSIDES = /\n\s+at |SyntaxError|TypeError|Unexpected|unexpected happened|undefined|\[object/;

function verbs(): readonly (readonly string[])[] {
  const { ended, running } = service.ids;
  return [
    ...[["get"], ["get", API], ["list", API], ["list", API, "--state", "succeeded"]],
    ...[ended, running].flatMap((job) => [["get", job], ["get", API, job], ["results", job], ["logs", job]]),
    ...[["results", ended, "--failed"], ["results", ended, "--family"], ["results", API, ended]],
  ]; // prettier-ignore
}

/** It went well, or it says which object it is and what to do; of an API without its only record, that there is none. */
function mustBeClear(said: CliEnd, { key, kind }: DamagedKey, damage: string): void {
  expect(said.err + said.out).not.toMatch(INSIDES);
  if (said.code === 0) return;
  const isGone = kind === "current" && damage === "removed" && /no API|no job/.test(said.err);
  if (!isGone) expect(said.err).toMatch(new RegExp(`^error: .*${key}.*(restore|submit|deploy|remove|put|begun)`));
}

function paths(): readonly string[] {
  const { ended, running } = service.ids;
  const jobs = [ended, running].flatMap((job) => {
    return ["", "/results", "/errors", "/logs", "/results?family=true", "/errors?family=true"].map((rest) => `/v1/apis/${API}/jobs/${job}${rest}`); // prettier-ignore
  });
  return ["/", "/v1/apis", `/v1/apis/${API}`, `/v1/apis/${API}/jobs`, ...jobs, `/${API}?jobID=${ended}`, "/metrics"];
}

describe.each(Object.keys(DAMAGES))("over a store with any one object %s", (damage) => {
  it("the command line ends well, or with a sentence that names the object and the fix", async () => {
    await withEach(damage, async (damaged) => {
      for (const verb of verbs()) {
        const said = await user.run([...verb, "--address", address]);
        try {
          mustBeClear(said, damaged, damage);
        } catch (error) {
          throw new Error(`millrace ${verb.join(" ")}, ${damaged.key} ${damage}`, { cause: error });
        }
      }
    });
  }, 120_000);

  it("the page and the routes answer, or name the object", async () => {
    await withEach(damage, async ({ key, kind }) => {
      for (const path of paths()) {
        const { statusCode, body, headers } = await app.inject(path);
        if (statusCode === 200) {
          expect(body).not.toMatch(INSIDES);
          continue;
        }
        if (kind === "current" && damage === "removed" && /not_found|not deployed/.test(body)) continue;
        // the predecessor's door answers its every error so
        const status = path.startsWith(`/${API}?`) ? 400 : 500;
        expect([path, statusCode, body], key).toEqual([path, status, expect.stringContaining(key)]);
        if (String(headers["content-type"]).includes("problem")) expect(body).toContain('"code":"object_damaged"');
      }
    });
  }, 120_000);

  it("an API whose records are damaged is shown as damaged, by its name", async () => {
    await withEach(damage, async ({ key, kind }) => {
      if (kind !== "version" && (kind !== "current" || damage === "removed")) return;
      const { apis, damaged } = (await app.inject("/v1/apis")).json<{ apis: unknown[]; damaged: unknown[] }>();

      expect([apis, damaged]).toEqual([[], [{ name: API, message: expect.stringContaining(key) as string }]]);
      expect((await app.inject("/")).body).toContain(key);
      expect((await user.run(["get", "--address", address])).out).toContain(key);
      expect((await user.run(["get", service.ids.ended, "--address", address])).code).toBe(0);
    });
  });

  it("verify tells of it, and never fails itself", async () => {
    const blind: string[] = [];
    await withEach(damage, async ({ key, kind, of }) => {
      if (of === "API") return;
      const report = await verifyJob(service.store, API, service.ids[of]).catch((error: unknown) => {
        if (error instanceof Problem && error.code === "job_not_found") return undefined;
        throw error;
      });
      expect(JSON.stringify(report ?? ""), key).not.toMatch(INSIDES);
      if (report?.sound === true) blind.push(kind);
    });
    expect([damage, blind]).toEqual([damage, expect.anything()]);
  });
});
