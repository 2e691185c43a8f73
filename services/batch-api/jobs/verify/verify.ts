/** `millrace verify`: every invariant that the objects of a job can show, checked from the objects alone. */
import type { ObjectStore } from "../../../backends/object-store.ts";
import { isJobId } from "../../../protocol/ids.ts";
import { jobKeys } from "../../../protocol/keys.ts";
import { Problem } from "../../../protocol/problems.ts";
import { isFinal } from "../../../protocol/states.ts";
import { UnreadableObject } from "../../../protocol/stored.ts";
import { storedKind } from "../../../protocol/stored-kinds.ts";
import { endInWords } from "../kept-results.ts";
import { acceptanceChecks } from "./acceptance.ts";
import type { Check } from "./check.ts";
import { countChecks } from "./counts.ts";
import { damageFinding, damageFindings, READABLE } from "./damage.ts";
import { endChecks } from "./end.ts";
import { readFacts, type JobFacts } from "./facts.ts";
import { inputChecks } from "./input.ts";
import { laneChecks } from "./lane.ts";
import { ledgerChecks } from "./ledgers.ts";
import { FINDINGS_MAX, type CheckResult, type Finding, type VerifyReport } from "./report.ts";
import { retriedChecks } from "./retried.ts";
import { rowChecks } from "./rows.ts";

export const CHECKS: readonly Check[] = [
  ...acceptanceChecks,
  ...inputChecks,
  ...retriedChecks,
  ...ledgerChecks,
  ...laneChecks,
  ...countChecks,
  ...endChecks,
  ...rowChecks,
];

/**
 * Looks at a running or ended job; changes nothing. The objects of a job move while they are read, so what is broken is looked at
 * a second time, and said when it is broken then as well. Throws `Problem` (job_not_found).
 */
export async function verifyJob(store: ObjectStore, api: string, job: string): Promise<VerifyReport> {
  const first = await lookAt(store, api, job);
  if (first.sound) return first;
  const second = await lookAt(store, api, job);
  const before = new Map(first.checks.map((check) => [check.name, check.result] as const));
  const checks = second.checks.map((check) => {
    const lasted = check.result !== "broken" || before.get(check.name) === "broken";
    return lasted ? check : { ...check, result: "holds" as const, findings: [] };
  });
  return { ...second, checks, sound: isSound(checks) };
}

function isSound(checks: readonly CheckResult[]): boolean {
  return checks.every(({ result }) => result !== "broken");
}

async function lookAt(store: ObjectStore, api: string, job: string): Promise<VerifyReport> {
  try {
    const facts = await readFacts(store, api, job);
    const { cause } = facts.stateAfter;
    if (cause?.kind === "failed" && cause.reason === "store_damaged") return endedByDamage(facts, cause.message);
    const checks: CheckResult[] = [READABLE];
    for (const check of CHECKS) checks.push(await runCheck(check, facts));
    const { state, final, itemsOf, items, retention } = facts;
    const removed = retention === undefined ? {} : { results_removed: endInWords(retention) };
    const counts = { batches: itemsOf.length, items };
    return { api, job, state: state.state, final, sound: isSound(checks), ...counts, checks, ...removed };
  } catch (error) {
    if (error instanceof UnreadableObject)
      return unreadable(api, job, [damageFinding(error), ...(await others(store, api, job, error))]);
    if (error instanceof Problem) return unreadable(api, job, await orphans(store, api, job, error));
    throw error;
  }
}

async function others(
  store: ObjectStore,
  api: string,
  job: string,
  met: UnreadableObject,
): Promise<readonly Finding[]> {
  const known = damageFinding(met).problem;
  return (await damageFindings(store, api, job)).filter(({ problem }) => problem !== known);
}

/** No job is found without its spec: then nothing of it may be there. Throws `Problem` when nothing is. */
async function orphans(store: ObjectStore, api: string, job: string, notFound: Problem): Promise<readonly Finding[]> {
  const keys = jobKeys(api, job);
  if (notFound.code !== "job_not_found" || !isJobId(job)) throw notFound;
  const { entries } = await store.list(keys.root, { limit: 1 });
  if (entries.length === 0) throw notFound;
  const mend = `${storedKind(keys.spec)?.mend ?? ""}; what a submission left that was never accepted goes by itself after two days`;
  return [{ problem: `${keys.spec} is not there, and other objects of the job are`, mend }];
}

/** It has no cut and no manifest: nothing that it counts from could be trusted. */
function endedByDamage({ spec, stateAfter }: JobFacts, message: string): VerifyReport {
  const mend = "submit the job again; its rows and ledgers stay where they are";
  const report = unreadable(spec.api, spec.job, [{ problem: `the job was ended: ${message}`, mend }]);
  return { ...report, state: stateAfter.state, final: isFinal(stateAfter.state) };
}

function unreadable(api: string, job: string, findings: readonly Finding[]): VerifyReport {
  const checks: CheckResult[] = [
    { ...READABLE, result: "broken", findings: findings.slice(0, FINDINGS_MAX) },
    ...CHECKS.map(({ name, invariants }) => ({ name, invariants, result: "not_yet" as const, findings: [] })),
  ];
  return { api, job, state: "unknown", final: false, sound: false, batches: 0, items: 0, checks };
}

async function runCheck({ name, invariants, when, ofRows, run }: Check, facts: JobFacts): Promise<CheckResult> {
  const { retention } = facts;
  if (
    retention?.state === "ending" ||
    (ofRows === true && retention !== undefined && retention.state !== "announced")
  ) {
    return { name, invariants, result: "removed", findings: [] };
  }
  if (when?.(facts) === false) return { name, invariants, result: "not_yet", findings: [] };
  const findings: Finding[] = [];
  try {
    for await (const finding of run(facts)) {
      findings.push(finding);
      if (findings.length >= FINDINGS_MAX) break;
    }
  } catch (error) {
    if (!(error instanceof UnreadableObject)) throw error;
    findings.push(damageFinding(error));
  }
  return { name, invariants, result: findings.length === 0 ? "holds" : "broken", findings };
}
