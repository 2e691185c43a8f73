/** Jobs and APIs as tables and pages of facts. Pure. */
import { isFinal } from "../services/protocol/states.ts";
import { counted, countOf, duration, rate } from "./amounts.ts";
import { stateWords, type Job } from "./bar.ts";
import type { Api } from "./job-address.ts";
import { secondsOf } from "./job-end.ts";
import type { Paint } from "./paint.ts";
import { factLines, tableLines } from "./table.ts";

export function apiTable(
  apis: readonly Api[],
  newest: readonly (Job | undefined)[],
  nowMs: number,
  paint: Paint,
): readonly string[] {
  const columns = [
    { title: "api" },
    { title: "version" },
    { title: "newest job" },
    { title: "state" },
    { title: "submitted" },
  ];
  const rows = apis.map(({ name, version }, at) => {
    const job = newest[at];
    if (job === undefined) return [paint("bold", name), version, "-"];
    return [paint("bold", name), version, job.job_id, stateWords(job.state, paint), ago(job.submitted_at, nowMs)];
  });
  return tableLines(columns, rows, paint);
}

export function jobTable(jobs: readonly Job[], nowMs: number, paint: Paint): readonly string[] {
  const right = true;
  const columns = [
    { title: "job" },
    { title: "state" },
    { title: "items", right },
    { title: "succeeded", right },
    { title: "failed", right },
    { title: "submitted" },
    { title: "took", right },
    ...(jobs.some(isRetry) ? [{ title: "retry of" }] : []),
  ];
  const rows = jobs.map((job) => [
    job.job_id,
    stateWords(job.state, paint),
    `${counted(job.items.total)}${job.batches.complete ? "" : "+"}`,
    counted(job.items.succeeded),
    job.items.failed > 0 ? paint("red", counted(job.items.failed)) : "0",
    ago(job.submitted_at, nowMs),
    took(job, nowMs),
    ...(job.retry_of === null ? [] : [job.retry_of]),
  ]);
  return tableLines(columns, rows, paint);
}

function isRetry({ retry_of: parent }: Job): boolean {
  return parent !== null;
}

export function apiLines(api: Api, paint: Paint): readonly string[] {
  const facts: (readonly [string, string])[] = [
    ["api", paint("bold", api.name)],
    [
      "version",
      `${api.version} (${api.created_at ?? "written by its stack"}), ${countOf(api.versions.length, "version")} kept`,
    ],
    [
      "a job's defaults",
      `${countOf(api.workers, "worker")}, batches of ${counted(api.batch_size)}, ${countOf(api.attempts, "attempt")}`,
    ],
    ["config", JSON.stringify(api.config)],
  ];
  if (api.env_names.length > 0) facts.push(["environment", api.env_names.join(", ")]);
  facts.push(["address", api.links.jobs]);
  return factLines(facts, paint);
}

export function jobLines(job: Job, nowMs: number, paint: Paint): readonly string[] {
  const { items, batches, workers } = job;
  const soFar = batches.complete ? "" : " so far";
  const rest = items.total - items.succeeded - items.failed;
  const skipped = isFinal(job.state) && rest > 0 ? `, ${counted(rest)} skipped` : "";
  const facts: (readonly [string, string])[] = [
    ["job", `${paint("bold", job.job_id)} of ${job.api} (version ${job.version})`],
    ["state", stateWords(job.state, paint) + (job.reason === null ? "" : ` (${job.reason})`)],
  ];
  if (job.message !== "") facts.push(["", job.message]);
  if (job.retry_of !== null) facts.push(["retry of", job.retry_of]);
  facts.push(
    ["submitted", `${job.submitted_at} (${ago(job.submitted_at, nowMs)})`],
    ["took", took(job, nowMs)],
    [
      "items",
      `${counted(items.total)}${soFar}: ${counted(items.succeeded)} succeeded, ${counted(items.failed)} failed${skipped}`,
    ],
    [
      "batches",
      `${counted(batches.total)}${soFar}: ${counted(batches.succeeded)} succeeded, ${counted(batches.failed)} failed, ` +
        `${counted(batches.running)} running, ${counted(batches.waiting)} waiting`,
    ],
    ["failed attempts", counted(job.attempts_failed)],
  );
  if (!isFinal(job.state) && workers.asked > 0) {
    facts.push(
      [
        "workers",
        `${counted(workers.ready)} ready, ${counted(workers.starting)} starting, ${counted(workers.lost)} lost, ` +
          `${counted(workers.sick)} stood down, of ${counted(workers.asked)} asked`,
      ],
      ["rate", rate(job.rate_items_per_second)],
    );
    if (job.estimated_seconds_left !== null) facts.push(["left", `about ${duration(job.estimated_seconds_left)}`]);
  }
  facts.push(["config", JSON.stringify(job.config)], ["input", inputWords(job)]);
  for (const warning of job.warnings) facts.push(["warning", paint("yellow", warning)]);
  return factLines(facts, paint);
}

function inputWords({ input, retry_of: parent }: Job): string {
  const size = `batches of ${counted(input.batch_size)}`;
  if (input.kind === "retry") {
    const skipped = input.retried === "failed" ? "" : " or were skipped";
    return `items that failed${skipped} in job ${parent ?? input.root}, ${size}`;
  }
  if (input.kind === "item_list") return `${countOf(input.items, "item")} in the submission, ${size}`;
  const more = input.paths - input.first_paths.length;
  return [`${input.kind}, ${size}`, ...input.first_paths, ...(more > 0 ? [`and ${counted(more)} more`] : [])].join(
    "\n",
  );
}

function took(job: Job, nowMs: number): string {
  const seconds = secondsOf(job);
  if (seconds !== null) return duration(seconds);
  return job.started_at === null ? "-" : duration(Math.max(0, (nowMs - Date.parse(job.started_at)) / 1000));
}

function ago(at: string, nowMs: number): string {
  return `${duration(Math.max(0, Math.floor((nowMs - Date.parse(at)) / 1000))).replace(/\.0 s$/, " s")} ago`;
}
