/** A minimal page: the jobs of each API. Works without scripts; with them it refreshes itself. */
import { apiOf } from "../../protocol/jobs.ts";
import { createHash } from "node:crypto";
import type { ApiView, DamagedApi } from "../apis/api-service.ts";
import type { JobView } from "../jobs/job-service.ts";
import type { App, Door } from "./door.ts";
import { endedAt, isoTime, jobPath } from "./job-wire.ts";

const APIS_MAX = 50;
const JOBS_MAX = 20;

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --quiet: #667; --bad: #b3261e; --good: #1a7f37; }
@media (prefers-color-scheme: dark) { :root { --quiet: #aab; --bad: #ff8a80; --good: #6fdd8b; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 80rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p, .quiet { color: var(--quiet); } nav { display: flex; flex-wrap: wrap; column-gap: 1rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .75rem .4rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.words { white-space: normal; min-width: 12rem; line-height: 1.3; }
code, td a, small a { font-family: ui-monospace, monospace; font-size: .92em; }
progress { width: 7rem; vertical-align: middle; }
.succeeded { color: var(--good); } .failed, .completed_with_failures, td.some a { color: var(--bad); }
@media (max-width: 44rem) {
  thead { display: none; } tr { display: block; padding: .6rem 0; border-bottom: 1px solid var(--line); }
  td, td.number { display: block; padding: .1rem 0; border: 0; text-align: left; }
  td:empty { display: none; } td[data-name]::before { content: attr(data-name) ": "; color: var(--quiet); }
}
`;

const SCRIPT = `
setInterval(async () => {
  if (document.hidden || document.querySelector("main").contains(document.activeElement)) return;
  try {
    const answer = await fetch("/");
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (answer.ok) document.querySelector("main").replaceWith(page.querySelector("main"));
    document.querySelector("#link").textContent = "";
  } catch { document.querySelector("#link").textContent = "The service does not answer; this is its last word."; }
}, 2000);
`;

const POLICY = `default-src 'none'; style-src ${hashOf(STYLE)}; script-src ${hashOf(SCRIPT)}; connect-src 'self'; frame-ancestors 'none'`;

function hashOf(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

export function pageRoute(app: App, { apis, jobs, readiness }: Door): void {
  app.get("/", { schema: { hide: true } }, async (_, reply) => {
    const now = readiness();
    void reply
      .type("text/html; charset=utf-8")
      .header("content-security-policy", POLICY)
      .header("cache-control", "no-store");
    if (now.kind === "starting") return reply.send(pageOf(`<p>The service is starting: ${escape(now.why)}</p>`));
    const { views, damaged } = await apis.list();
    const sections = await Promise.all(
      views
        .slice(0, APIS_MAX)
        .map(async (view) => sectionOf(view, (await jobs.list(view.current.api, { limit: JOBS_MAX })).jobs)),
    );
    const all = [...damaged.map(damagedSection), ...sections].join("");
    return reply.send(pageOf(all || "<p>No API is deployed yet: <code>millrace deploy PROJECT</code>.</p>"));
  });
}

function pageOf(main: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Millrace jobs</title><style>${STYLE}</style></head>
<body><header><h1>Millrace</h1><nav aria-label="Documents"><a href="/openapi.json">REST API</a><a href="/v1/apis">APIs as JSON</a>
<a href="/metrics">Metrics</a><a href="/health/ready">Health</a></nav><p id="link" role="status"></p></header>
<main>${main}</main><script>${SCRIPT}</script></body></html>`;
}

function sectionOf(view: ApiView, views: readonly JobView[]): string {
  const { api, version } = view.current;
  const head = `<section><h2>${escape(api)} <span class="quiet">version <code>${escape(version)}</code></span></h2>`;
  if (views.length === 0)
    return `${head}<p>No jobs yet: <code>millrace submit ${escape(api)} INPUT</code>.</p></section>`;
  return `${head}<div class="scroll" role="region" aria-label="Jobs of ${escape(api)}" tabindex="0"><table><thead><tr><th scope="col">Job</th><th scope="col">State</th>
<th scope="col">Batches</th><th scope="col" class="number">Items done</th><th scope="col" class="number">Items failed</th>
<th scope="col">Submitted (UTC)</th><th scope="col">Lasted</th></tr></thead>
<tbody>${views.map(rowOf).join("")}</tbody></table></div></section>`;
}

function damagedSection({ name, message }: DamagedApi): string {
  return `<section><h2>${escape(name)} <span class="failed">damaged</span></h2><p role="alert">${escape(message)}</p></section>`;
}

function rowOf(view: JobView): string {
  const { spec, counts } = view;
  const settled = counts.batches_succeeded + counts.batches_failed;
  const label = `${String(settled)} of ${String(counts.batches)}${counts.complete ? "" : " so far"}`;
  const bar = `<progress max="${String(Math.max(1, counts.batches))}" value="${String(settled)}" aria-label="${label} batches"></progress> ${label}`;
  const begun = counts.batches > 0 || view.state !== "pending";
  const done = counts.items_succeeded + counts.items_failed;
  const ended = endedAt(view);
  const lasted = ended === null ? "" : duration((ended - spec.accepted_at) / 1000);
  const parent = spec.input.kind === "retry" ? spec.input.retry_of : undefined;
  const linkTo = (job: string) => `<a href="${escape(jobPath(apiOf(spec), job))}">${escape(job)}</a>`;
  const retried = parent === undefined ? "" : `<br><small class="quiet">retry of ${linkTo(parent)}</small>`;
  const failed = counts.items_failed === 0 ? "0" : linkToErrors(spec, counted(counts.items_failed));
  return `<tr><td>${linkTo(spec.job)}${retried}</td>
<td class="words"><span class="${view.state}">${view.state.replaceAll("_", " ")}</span><br>
<small class="quiet">${[view.message, ...(view.warnings ?? [])].map(escape).join("<br>")}</small></td><td data-name="Batches">${begun ? bar : "not begun"}</td>
<td class="number" data-name="Items done">${counted(done)}</td><td class="number${counts.items_failed === 0 ? "" : " some"}" data-name="Items failed">${failed}</td>
<td data-name="Submitted (UTC)">${isoTime(spec.accepted_at).slice(0, 19).replace("T", " ")}</td><td data-name="Lasted">${lasted}</td></tr>`;
}

function linkToErrors(spec: JobView["spec"], words: string): string {
  return `<a href="${escape(jobPath(apiOf(spec), spec.job))}/errors" download="${escape(spec.job)}-errors.ndjson" title="Downloads the failed items, each with its error">${words}</a>`;
}

function counted(count: number): string {
  return count.toLocaleString("en-US");
}

/** `31.8 s`, `3 min 20 s`, `2 h 5 min`. */
function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const [minutes, rest] = [Math.floor(seconds / 60), Math.floor(seconds % 60)];
  return minutes < 60
    ? `${String(minutes)} min ${String(rest)} s`
    : `${counted(Math.floor(minutes / 60))} h ${String(minutes % 60)} min`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (letter) => ENTITIES[letter] ?? letter);
}
