/** What an engine did or would do, from the events that it logs. */
import type { EngineEvent, OpMap, OpType } from "@pulumi/pulumi/automation/index.js";

export interface Step {
  readonly op: OpType;
  readonly urn: string;
  readonly type: string;
  /** In the program. */
  readonly name: string;
  /** Paths of the inputs that differ, such as `spec.replicas`. */
  readonly diffs: readonly string[];
  /** As the engine shows them: secrets and unknown values are texts. */
  readonly inputs: Readonly<Record<string, unknown>>;
}

export interface EngineRun {
  readonly succeeded: boolean;
  /** In their order; a replacement shows as several. */
  readonly steps: readonly Step[];
  /** Counts as the engine prints them at the end, such as `{create: 3, same: 1}`. */
  readonly counts: OpMap;
  /** What the engine and the program said, without colours: `error: …`, `info: …`. */
  readonly messages: readonly string[];
  /** All that was printed. */
  readonly text: string;
}

/** What happens to a resource as a whole. */
export type Change = "create" | "update" | "replace" | "delete";

const CHANGES: Readonly<Partial<Record<OpType, Change>>> = {
  create: "create",
  update: "update",
  replace: "replace",
  delete: "delete",
};

/**
 * Resources that change, by `<type> <name>` with the type's last part alone: `{"Queue lane-0": "replace"}`. The stack's own
 * outputs and providers are left out.
 */
export function changesOf(run: EngineRun): Readonly<Record<string, Change>> {
  const changed = run.steps.flatMap(({ op, type, name }) => {
    const change = CHANGES[op];
    return change === undefined || type.startsWith("pulumi:") ? [] : [[`${kindOf(type)} ${name}`, change] as const];
  });
  return Object.fromEntries(changed);
}

/** The step of the resource of that name. Throws when there is none, or more than one resource. */
export function stepOf(run: EngineRun, type: string, name: string): Step {
  const found = run.steps.filter((step) => step.type === type && step.name === name);
  const urns = new Set(found.map(({ urn }) => urn));
  const [first] = found;
  if (first === undefined || urns.size > 1) throw new Error(`${String(urns.size)} resources are ${type} ${name}`);
  return first;
}

/** @param log lines of JSON */
export function readEvents(log: string): Pick<EngineRun, "steps" | "counts" | "messages"> {
  const events = log
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as EngineEvent);
  return {
    steps: stepsOf(events),
    counts: events.findLast(({ summaryEvent }) => summaryEvent !== undefined)?.summaryEvent?.resourceChanges ?? {},
    messages: events.flatMap(({ diagnosticEvent: said }) =>
      said === undefined || (said.severity as string) === "debug"
        ? []
        : [`${said.severity}: ${uncoloured(said.message)}`],
    ),
  };
}

/** Of a refresh only the end of a step tells what was found, so that the last word on each counts. */
function stepsOf(events: readonly EngineEvent[]): readonly Step[] {
  const steps = new Map<string, Step>();
  for (const { resourcePreEvent, resOutputsEvent, resOpFailedEvent } of events) {
    const metadata = (resourcePreEvent ?? resOutputsEvent ?? resOpFailedEvent)?.metadata;
    if (metadata === undefined) continue;
    const { op, urn, type } = metadata;
    const key = resourcePreEvent === undefined && steps.has(`refresh ${urn}`) ? `refresh ${urn}` : `${op} ${urn}`;
    const diffs = Object.keys(metadata.detailedDiff ?? {});
    const inputs = (metadata.new ?? metadata.old)?.inputs ?? {};
    steps.set(key, { op, urn, type, name: urn.split("::").slice(3).join("::"), diffs, inputs });
  }
  return [...steps.values()];
}

function kindOf(type: string): string {
  return type.split(":").at(-1) ?? type;
}

function uncoloured(message: string): string {
  return message.replace(/<\{%[^%]*%\}>/g, "").trim();
}
