/** `millrace verify`: every invariant that the objects of a job can show, checked from the objects alone. */
import type { ObjectStore } from "../../../backends/object-store.ts";
import { acceptanceChecks } from "./acceptance.ts";
import { countChecks } from "./counts.ts";
import { endChecks } from "./end.ts";
import type { Check } from "./check.ts";
import { readFacts, type JobFacts } from "./facts.ts";
import { inputChecks } from "./input.ts";
import { ledgerChecks } from "./ledgers.ts";
import { FINDINGS_MAX, type CheckResult, type Finding, type VerifyReport } from "./report.ts";
import { rowChecks } from "./rows.ts";

export const CHECKS: readonly Check[] = [
  ...acceptanceChecks,
  ...inputChecks,
  ...ledgerChecks,
  ...countChecks,
  ...endChecks,
  ...rowChecks,
];

/** Looks at a running or ended job; changes nothing. Throws `Problem` (job_not_found). */
export async function verifyJob(store: ObjectStore, api: string, job: string): Promise<VerifyReport> {
  const facts = await readFacts(store, api, job);
  const checks: CheckResult[] = [];
  for (const check of CHECKS) checks.push(await runCheck(check, facts));
  return {
    api,
    job,
    state: facts.state.state,
    final: facts.final,
    sound: checks.every(({ result }) => result !== "broken"),
    batches: facts.itemsOf.length,
    items: facts.items,
    checks,
  };
}

async function runCheck({ name, invariants, when, run }: Check, facts: JobFacts): Promise<CheckResult> {
  if (when?.(facts) === false) return { name, invariants, result: "not_yet", findings: [] };
  const findings: Finding[] = [];
  for await (const finding of run(facts)) {
    findings.push(finding);
    if (findings.length >= FINDINGS_MAX) break;
  }
  return { name, invariants, result: findings.length === 0 ? "holds" : "broken", findings };
}
