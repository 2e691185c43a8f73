/** The ledgers: whole, each of its own worker, saying what can be, and covered by the cut. */
import { workerOfLedger } from "../../../protocol/keys.ts";
import type { OutcomeLine, RowsAt } from "../../../protocol/ledger.ts";
import type { Check } from "./check.ts";
import type { JobFacts } from "./facts.ts";
import { partProof } from "./part-proof.ts";
import type { Finding } from "./report.ts";

const DAMAGED = "the object was damaged after it was written: restore it, or submit the job again";
const BUG =
  "this is a fault of Millrace, please report it with this report; what the manifest says of this batch may be wrong";

/** While logs still grow, one that was read first may lack what a later one answers to. */
const isCut = ({ cut }: JobFacts) => cut !== undefined;

export const ledgerChecks: readonly Check[] = [
  { name: "ledgers and verdicts are whole lines of their own worker", invariants: ["I17"], run: wholeLines },
  { name: "outcomes fit their batches", invariants: ["I2", "I4"], run: outcomesFit },
  { name: "a later attempt follows a failed one", invariants: ["I18"], when: isCut, run: attemptsFollow },
  { name: "verdicts are of batches and attempts of the job", invariants: ["I14"], run: verdictsFit },
  {
    name: "deaths are charged to batches that the dead had started",
    invariants: ["I14"],
    when: isCut,
    run: verdictsCharge,
  },
  { name: "sealed parts are as they were sealed", invariants: ["I16", "I17"], ofRows: true, run: sealedParts },
  { name: "rows of one part do not overlap", invariants: ["I16"], ofRows: true, run: rowsApart },
  {
    name: "the cut lies on line ends within the logs",
    invariants: ["I17"],
    when: isCut,
    run: cutCovers,
  },
];

function* wholeLines({ ledgers, verdicts }: JobFacts): Generator<Finding> {
  for (const { key, damaged } of [...ledgers, ...verdicts]) {
    for (const start of damaged) {
      yield { problem: `${key} holds a line at byte ${String(start)} that is not JSON`, mend: DAMAGED };
    }
  }
  for (const { key, lines, damaged } of ledgers) {
    const first = lines[0]?.line;
    if (first === undefined || damaged.includes(0)) continue;
    if (first.t !== "worker" || first.worker !== workerOfLedger(key)) {
      yield { problem: `${key} does not begin with its worker's line`, mend: DAMAGED };
    }
  }
}

function* outcomes({ ledgers }: JobFacts): Generator<{ readonly key: string; readonly line: OutcomeLine }> {
  for (const { key, lines } of ledgers) {
    for (const { line } of lines) if (line.t === "outcome") yield { key, line };
  }
}

function* outcomesFit(facts: JobFacts): Generator<Finding> {
  for (const { key, line } of outcomes(facts)) {
    const where = `${key}: the outcome of batch ${String(line.batch)}, attempt ${String(line.attempt)},`;
    const items = facts.itemsOf[line.batch];
    if (items === undefined) {
      yield { problem: `${where} is of a batch that the split does not have`, mend: BUG };
    } else if (line.items !== items) {
      yield { problem: `${where} counts ${String(line.items)} items where the batch has ${String(items)}`, mend: BUG };
    }
    if (line.attempt < 1 || line.attempt > facts.spec.attempts) {
      yield { problem: `${where} is beyond the ${String(facts.spec.attempts)} attempts of the job`, mend: BUG };
    }
    if (!failedFits(line)) {
      yield {
        problem: `${where} says "${line.result}" with ${String(line.failed)} of ${String(line.items)} items failed`,
        mend: BUG,
      };
    }
    if (line.rows !== undefined && line.rows.rows !== line.items - line.failed) {
      yield {
        problem: `${where} left ${String(line.rows.rows)} result rows for ${String(line.items - line.failed)} items that succeeded`,
        mend: BUG,
      };
    }
  }
}

function failedFits({ result, failed, items }: OutcomeLine): boolean {
  if (result === "all") return failed === 0;
  if (result === "none") return failed === items;
  return failed > 0 && failed <= items; // items that are no JSON fail for good, and may be all of them
}

function* attemptsFollow(facts: JobFacts): Generator<Finding> {
  const failed = new Set<string>();
  const name = (batch: number, attempt: number) => `${String(batch)}/${String(attempt)}`;
  for (const { line } of outcomes(facts)) if (line.result === "none") failed.add(name(line.batch, line.attempt));
  for (const { lines } of facts.verdicts) {
    for (const { line } of lines) if (line.range === undefined) failed.add(name(line.batch, line.attempt));
  }
  for (const { key, line } of outcomes(facts)) {
    if (line.attempt <= 1 || failed.has(name(line.batch, line.attempt - 1))) continue;
    yield {
      problem: `${key}: batch ${String(line.batch)} was tried a ${ordinal(line.attempt)} time, and no ${ordinal(line.attempt - 1)} attempt failed`,
      mend: BUG,
    };
  }
}

function ordinal(attempt: number): string {
  return ["zeroth", "first", "second", "third"][attempt] ?? `${String(attempt)}th`;
}

function* verdictsFit({ verdicts, itemsOf, spec }: JobFacts): Generator<Finding> {
  for (const { key, lines } of verdicts) {
    for (const { line } of lines) {
      const where = `${key}: the verdict over batch ${String(line.batch)}, attempt ${String(line.attempt)},`;
      const items = itemsOf[line.batch];
      if (items === undefined) yield { problem: `${where} is of a batch that the split does not have`, mend: BUG };
      if (line.attempt < 1 || line.attempt > spec.attempts) {
        yield { problem: `${where} is beyond the ${String(spec.attempts)} attempts of the job`, mend: BUG };
      }
      if (line.range === undefined || items === undefined) continue;
      const [from, to] = line.range;
      if (from < 0 || from >= to || to > items) {
        yield { problem: `${where} names items ${String(from)} to ${String(to)} of ${String(items)}`, mend: BUG };
      }
    }
  }
}

function* verdictsCharge({ ledgers, verdicts }: JobFacts): Generator<Finding> {
  const started = new Set<string>();
  for (const { key, lines } of ledgers) {
    for (const { line } of lines) {
      if (line.t === "started") started.add(`${workerOfLedger(key)}/${String(line.batch)}/${String(line.attempt)}`);
    }
  }
  for (const { key, lines } of verdicts) {
    for (const { line } of lines) {
      if (started.has(`${line.worker}/${String(line.batch)}/${String(line.attempt)}`)) continue;
      yield {
        problem: `${key} charges the death of ${line.worker} to batch ${String(line.batch)}, attempt ${String(line.attempt)}, which it had not started`,
        mend: BUG,
      };
    }
  }
}

async function* sealedParts({ store, keys, ledgers }: JobFacts): AsyncGenerator<Finding> {
  for (const { key, lines } of ledgers) {
    for (const { line } of lines) {
      if (line.t !== "sealed") continue;
      const part = keys[line.of](workerOfLedger(key), line.part);
      const found = await store.get(part);
      const { bytes, rows, sha256 } = partProof(found?.bytes ?? Buffer.alloc(0));
      if (bytes === line.bytes && sha256 === line.sha256 && rows === line.rows) continue;
      yield {
        problem: `${part} was sealed with ${String(line.bytes)} bytes and ${String(line.rows)} rows, and ${found === undefined ? "is not there" : `has ${String(bytes)} bytes and ${String(rows)} rows`}${bytes === line.bytes ? " of another content" : ""}`,
        mend: DAMAGED,
      };
    }
  }
}

async function* rowsApart(facts: JobFacts): AsyncGenerator<Finding> {
  for (const kind of ["results", "errors"] as const) {
    const parts = new Map<string, RowsAt[]>();
    for (const { key, line } of outcomes(facts)) {
      const at = kind === "results" ? line.rows : line.errors;
      if (at === undefined) continue;
      const part = facts.keys[kind](workerOfLedger(key), at.part);
      const known = parts.get(part);
      if (known === undefined) parts.set(part, [at]);
      else known.push(at);
    }
    for (const [part, ranges] of parts) {
      const size = (await facts.store.size(part)) ?? 0;
      let end = 0;
      for (const range of ranges.toSorted((a, b) => a.start - b.start)) {
        if (range.start < end || range.end < range.start || range.end > size) {
          yield {
            problem: `${part} has ${String(size)} bytes, and a ledger says that rows lie in bytes ${String(range.start)} to ${String(range.end)}, where those before end at ${String(end)}`,
            mend: DAMAGED,
          };
        }
        end = Math.max(end, range.end);
      }
    }
  }
}

function* cutCovers({ cut, ledgers, verdicts, stateAfter, keys }: JobFacts): Generator<Finding> {
  if (cut === undefined) return;
  if (stateAfter.state === "pending" || stateAfter.state === "running") {
    yield { problem: `${keys.cut} was written while the job is still ${stateAfter.state}`, mend: BUG };
  }
  const logs = new Map([...ledgers, ...verdicts].map((log) => [log.key, log] as const));
  for (const [key, length] of Object.entries({ ...cut.ledgers, ...cut.verdicts })) {
    const log = logs.get(key);
    if (log === undefined || log.sizeBytes < length) {
      yield {
        problem: `the cut counts ${String(length)} bytes of ${key}, which ${log === undefined ? "is not there" : `has only ${String(log.sizeBytes)}`}: an acknowledged append was undone`,
        mend: DAMAGED,
      };
    }
  }
  yield* cutsOnLineEnds({ ...cut.ledgers, ...cut.verdicts }, [...ledgers, ...verdicts]);
}

function* cutsOnLineEnds(
  lengths: Readonly<Record<string, number>>,
  logs: JobFacts["ledgers" | "verdicts"][number][],
): Generator<Finding> {
  for (const { key, lines, lineEnds } of logs) {
    const length = lengths[key];
    if (length === undefined || length === 0 || lines.length === 0 || lineEnds.has(length)) continue;
    yield { problem: `the cut of ${key} at byte ${String(length)} is not at the end of a line`, mend: BUG };
  }
}
