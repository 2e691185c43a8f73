/** The stack's Kubernetes objects on a real API server, and the cloud runtime with these rights, accounts, templates and versions. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it, onTestFailed } from "vitest";
import { verifyJob } from "../../../services/batch-api/jobs/verify/verify.ts";
import { readSpec } from "../../../services/batch-api/jobs/view.ts";
import { apiKeys } from "../../../services/protocol/keys.ts";
import { aProject } from "../../components/support/a-project.ts";
import type { RenderedStack } from "../../components/support/render.ts";
import { wholeStack } from "../../infra/whole-stack.ts";
import type { JobOnWire } from "../../support/api-user.ts";
import { API, DeclaredApi } from "../support/a-declared-api.ts";
import { awaitWith } from "../support/cluster-process.ts";
import { leavingsOf } from "../support/leavings.ts";
import { describeOnRealNodes } from "../support/real-nodes.ts";
import { isOfItsTime, jobsByKey, SteadyLoad, summaryOf, type Period } from "./steady-load.ts";

const LOAD = { perSecond: 200, keysPerSecond: 5, inFlightMax: 8 };
/** On the busiest machine; fewer were no load. */
const SUBMISSIONS_MIN = 100;
const BETWEEN_UPDATES_MILLISECONDS = 2_000;
const ROLE = "kubernetes:rbac.authorization.k8s.io/v1:Role";

/** Says which version of it ran, and whether its pod had a token of Kubernetes. */
function handler(version: string): string {
  return `import os, time
class Handler:
    def __init__(self, config):
        self.token = os.path.exists("/var/run/secrets/kubernetes.io/serviceaccount/token")
    def handle_batch(self, payload):
        time.sleep(sum(item.get("seconds", 0) for item in payload))
        return [{"at": item["at"], "version": "${version}", "token": self.token} for item in payload]
`;
}

describeOnRealNodes("an API that a stack declares", () => {
  let api: DeclaredApi;
  let stack: RenderedStack;
  beforeAll(async () => {
    api = await DeclaredApi.start();
    const path = aProject(API, { files: { "handler.py": handler("one") } });
    stack = await api.render({ code: { kind: "project", path } });
  });
  afterAll(async () => {
    await api.end();
    expect(leavingsOf(api.cluster.controlPlane)).toEqual([]);
  });

  function objectsOf({ resources }: RenderedStack) {
    return resources.filter(({ type }) => api.backing.holds(type));
  }

  it("is taken by the API server as it was rendered, every Kubernetes object of it, and so is the whole stack of infra/", async () => {
    const objects = [...objectsOf(stack), ...objectsOf(await wholeStack())];
    const namespaces = objects.filter(({ type }) => type === "kubernetes:core/v1:Namespace");
    for (const { inputs } of namespaces) await api.apply(inputs);

    for (const { inputs } of objects) await api.apply(inputs, { dryRun: true });

    expect(objects.length).toBeGreaterThan(50);
  });

  it("is refused with a field that Kubernetes does not have, whichever object has it", async () => {
    for (const { inputs, type } of objectsOf(stack)) {
      const planted = { ...inputs, misspelt: true };

      await expect(api.apply(planted, { dryRun: true }), type).rejects.toThrow(/misspelt/);
    }
  });

  it("runs a job of hundreds of batches with these rights, accounts, templates and version", async () => {
    await api.up(stack);
    const items = Array.from({ length: 300 }, (_, at) => ({ at }));

    const job = await api.submit(API, { workers: 2, item_list: { items, batch_size: 1 } });
    const [worker] = await awaitWith("a worker's pod", [], async () => {
      const pods = await api.pods(`millrace/job=${job.job_id}`);
      return pods.length > 0 && pods;
    });
    const ended = await api.ended(job, 120);

    expect(ended).toMatchObject({ state: "succeeded", version: stack.outputs["version"], batches: { succeeded: 300 } });
    expect(worker?.spec).toMatchObject({ serviceAccountName: "worker", automountServiceAccountToken: false });
    expect(worker?.spec?.containers[0]?.image).toBe(api.images.worker);
    const rows = (await api.results(ended)).map(({ result }) => result);
    expect(rows).toEqual(items.map(({ at }) => ({ at, version: "one", token: false })));
    await api.proveAll();
  });

  it("refuses code from anybody but its stack", async () => {
    const reply = await api.deploy(API, handler("another"));

    const problem: unknown = await reply.json();
    expect([reply.status, problem]).toMatchObject([409, { code: "code_is_pinned" }]);
    expect(JSON.stringify(problem)).toContain("acme/millrace/test");
  });

  it("lets a job wait, and says why, while its rights lack a verb", async () => {
    const { inputs } = stack.one(ROLE);
    const rules = (inputs["rules"] as readonly { resources: readonly string[]; verbs: readonly string[] }[]).map(
      (rule) =>
        rule.resources[0] === "jobs" ? { ...rule, verbs: rule.verbs.filter((verb) => verb !== "create") } : rule,
    );
    await api.apply({ ...inputs, rules });
    const job = await api.submit(API, { workers: 1, item_list: { items: [{ at: 0 }], batch_size: 1 } });

    const waiting = await api.when(job, ({ message }) => message.includes("lacks a right"), 60);

    expect(waiting.message).toMatch(/create/);
    await api.apply(inputs);
    expect(await api.ended(job, 90)).toMatchObject({ state: "succeeded" });
    await api.proveAll();
  });

  it("rolls through a new handler, new compute, new images and back under load: all is accepted, nothing lost or doubled", async () => {
    await api.up(stack);
    const steps = [...(await stepsOf()), stack];
    const before = await keysUnder("ended");
    // both lanes are taken, so that what is submitted meanwhile waits through all that comes
    const through = [await submitLong(), await submitLong()];
    for (const job of through) await api.when(job, ({ state }) => state === "running", 60);

    const load = new SteadyLoad(api, LOAD);
    onTestFailed(async () => {
      await load.end();
      await giveUp(); // leaves the lanes to the second try
    });
    const periods = await rollThrough(load, steps);
    const submitted = await load.end();

    process.stdout.write(`${summaryOf(submitted, periods)}\n`);
    expect(submitted.length).toBeGreaterThan(SUBMISSIONS_MIN);
    expect(submitted.flatMap(({ fault }) => (fault === "" ? [] : [fault]))).toEqual([]);
    const jobs = jobsByKey(submitted);
    expect(jobs.filter((one) => !isOfItsTime(one, periods))).toEqual([]);
    await endAll(jobs.map(({ job }) => job));
    for (const job of through) await expectRan(job);
    const all = [...through, ...jobs.map(({ job }) => job)].map(({ job_id: id }) => id);
    expect(await keysUnder("ended")).toEqual([...before, ...all].sort());
    await api.proveAll();
  });

  /** The stacks that follow: another handler, then more memory, then other images as well. */
  async function stepsOf(): Promise<readonly RenderedStack[]> {
    const path = aProject(API, { files: { "handler.py": handler("two") } });
    const code = { kind: "project", path } as const;
    const compute = { memory: "512Mi" };
    const image = await api.pinAnew();
    return [
      await api.render({ code }),
      await api.render({ code, compute }),
      await api.render({ code, compute, image }),
    ];
  }

  function submitLong() {
    const items = Array.from({ length: 90 }, (_, at) => ({ at, seconds: 1 }));
    return api.submit(API, { workers: 1, item_list: { items, batch_size: 1 } });
  }

  /** Which version new jobs get when: from the beginning of its update to the end of the next one. */
  async function rollThrough(load: SteadyLoad, steps: readonly RenderedStack[]): Promise<readonly Period[]> {
    const periods: Period[] = [{ version: stack.outputs["version"], fromSeconds: 0, untilSeconds: Infinity }];
    for (const step of steps) {
      await sleep(BETWEEN_UPDATES_MILLISECONDS);
      const fromSeconds = load.seconds;
      await api.up(step);
      const last = periods.at(-1);
      if (last !== undefined) last.untilSeconds = load.seconds;
      periods.push({ version: step.outputs["version"], fromSeconds, untilSeconds: Infinity });
    }
    await sleep(BETWEEN_UPDATES_MILLISECONDS);
    return periods;
  }

  /** The first job of each version runs, and the last one of all; the others are stopped. Each ends on its own version. */
  async function endAll(jobs: readonly JobOnWire[]): Promise<void> {
    const versions = new Set(jobs.map(({ version }) => version));
    const run = new Set([jobs.at(-1), ...[...versions].map((version) => jobs.find((job) => job.version === version))]);
    for (const job of jobs) if (!run.has(job)) expect((await api.stop(job)).status).toBe(202);
    for (const job of run) if (job !== undefined) await expectRan(job);
    await awaitWith("all jobs to end", [], async () => (await keysUnder("active")).length === 0, 120);
    for (const { job_id: id, version } of jobs) {
      expect(await verifyJob(api.store, API, id)).toMatchObject({ final: true, sound: true });
      expect((await readSpec(api.store, API, id)).version).toBe(version);
    }
  }

  async function expectRan(job: JobOnWire): Promise<void> {
    const ended = await api.ended(job, 180);
    expect(ended).toMatchObject({ state: "succeeded", version: job.version });
    const by = new Set(
      (await api.results(ended)).map(({ result }) => (result as { readonly version: string }).version),
    );
    expect([...by]).toEqual([job.version === stack.outputs["version"] ? "one" : "two"]);
  }

  async function giveUp(): Promise<void> {
    const jobs = (await keysUnder("active")).map((id) => ({ api: API, job_id: id }) as JobOnWire);
    for (const job of jobs) await api.stop(job);
    await awaitWith("all jobs to end", [], async () => (await keysUnder("active")).length === 0, 120);
    api.forget(...jobs);
  }

  /** Last parts of all keys there: the ids of jobs. */
  async function keysUnder(place: "active" | "ended"): Promise<readonly string[]> {
    const ids: string[] = [];
    let after: string | undefined;
    do {
      const page = await api.store.list(apiKeys(API)[place], after === undefined ? {} : { after });
      ids.push(...page.entries.map(({ key }) => key.slice(key.lastIndexOf("/") + 1)));
      after = page.next;
    } while (after !== undefined);
    return ids.sort();
  }
});
