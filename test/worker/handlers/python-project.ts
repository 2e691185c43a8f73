/** Starts a real Python handler over a project made of the given files; everything is removed by `close`. */
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { realClock, realRandom } from "../../../services/backends/clock.real.ts";
import type { HandlerInit } from "../../../services/protocol/frames.ts";
import {
  type HandlerOutput,
  type PythonHandler,
  startPythonHandler,
} from "../../../services/worker/handlers/handler.python.ts";
import type { Ready, RunAnswer } from "../../../services/worker/handlers/handler.ts";

const HOST = fileURLToPath(new URL("../../../services/worker/python/millrace_host/__main__.py", import.meta.url));

export interface Project {
  readonly folder: string;
  readonly handler: PythonHandler;
  readonly lines: HandlerOutput[];
  readonly begun: string[];
  start(init?: Partial<HandlerInit>): Promise<Ready>;
  /** One batch; its id is its name, its first item has index 10. */
  run(batchId: string, items: readonly unknown[] | string, count?: number): Promise<RunAnswer>;
  close(): Promise<void>;
}

export async function aProject(
  source: string,
  settings: { python?: string; files?: Record<string, string>; env?: Record<string, string> } = {},
): Promise<Project> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-handler-"));
  for (const [name, text] of Object.entries({ "handler.py": source, ...settings.files })) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  const lines: HandlerOutput[] = [];
  const begun: string[] = [];
  const handler = startPythonHandler({
    python: settings.python ?? "python3",
    hostPath: HOST,
    env: { PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "", ...settings.env },
    processIndex: 0,
    output: (line) => {
      if (lines.length < 10_000) lines.push(line);
    },
    clock: realClock,
    random: realRandom,
    closeSeconds: 1,
  });
  return {
    folder,
    handler,
    lines,
    begun,
    start: (init = {}) =>
      handler.start({
        project: folder,
        path: "handler.py",
        python_path: null,
        config: {},
        job_spec: { job_id: "job" },
        log_level: "info",
        cortex_project: false,
        ...init,
      }),
    run: (batchId, items, count) => {
      const body = Buffer.from(typeof items === "string" ? items : JSON.stringify(items));
      const meta = { batch_id: batchId, attempt: 1, items: count ?? items.length, first: 10 };
      return handler.run(meta, body, () => begun.push(batchId));
    },
    close: async () => {
      await handler.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The text of the managed rows of an answer. */
export function rowsOf(answer: RunAnswer): string {
  return answer.kind === "done" ? answer.bytes.toString() : `no rows: ${JSON.stringify(answer)}`;
}

export function failureOf(answer: RunAnswer): Extract<RunAnswer, { kind: "failed" }> {
  if (answer.kind !== "failed") throw new Error(`expected a failed attempt, got ${answer.kind}`);
  return answer;
}

/** True while any process of the group lives; what nobody has waited for yet (a zombie) is dead. */
export function isGroupAlive(group: number | undefined): boolean {
  return readdirSync("/proc").some((name) => /^\d+$/.test(name) && isAliveIn(name, group));
}

function isAliveIn(pid: string, group: number | undefined): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state, , processGroup] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return state !== "Z" && Number(processGroup) === group;
  } catch {
    return false; // it ended while we looked
  }
}
