import { verifyJob } from "../../services/batch-api/jobs/verify/verify.ts";
import type { Cluster } from "./cluster.ts";
import { API } from "./workload.ts";

/** What is wrong once all is over. */
export async function endProblems(cluster: Cluster): Promise<string[]> {
  const problems: string[] = [];
  for (const { id } of cluster.jobs) {
    if (id === undefined) continue;
    const report = await verifyJob(cluster.store, API, id);
    for (const { name, invariants, findings } of report.checks) {
      for (const { problem } of findings) problems.push(`${invariants.join(" ")}: ${name}: ${problem}`);
    }
  }
  return problems;
}
