import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FAILURE_REASONS, FINAL_STATES, isFinal, JOB_STATES, mayMove, MOVES } from "../../services/protocol/states.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/job-states.md"), "utf8");

/** `from --> to` for every arrow of the picture, `[*]` included. */
const arrows = [...page.matchAll(/^ {2}(\S+) --> (\S+)$/gm)].map(([, from, to]) => `${from ?? ""} --> ${to ?? ""}`);

/** First cell to last cell of every row that begins with a word in backticks. */
const rows = new Map(
  [...page.matchAll(/^\| `(\w+)` +\|(.*)\|$/gm)].map(([, word, rest]) => [word ?? "", rest?.split("|").at(-1) ?? ""]),
);

describe("the states of a job", () => {
  it("move as the picture in docs/job-states.md says, and no other way", () => {
    const moves = JOB_STATES.flatMap((from) => MOVES[from].map((to) => `${from} --> ${to}`));
    const ends = FINAL_STATES.map((state) => `${state} --> [*]`);

    expect(arrows.sort()).toEqual(["[*] --> pending", ...moves, ...ends].sort());
  });

  it.each(JOB_STATES)("has %s in the table, with what may follow", (state) => {
    const following = [...(rows.get(state) ?? "no row").matchAll(/`(\w+)`/g)].map(([, word]) => word);

    expect(following).toEqual(MOVES[state]);
    expect(rows.get(state)?.trim() === "final").toBe(isFinal(state));
  });

  it("has every reason of a failure in the table", () => {
    expect(FAILURE_REASONS.filter((reason) => !rows.has(reason))).toEqual([]);
  });

  it("never move out of a final one", () => {
    for (const from of FINAL_STATES) for (const to of JOB_STATES) expect(mayMove(from, to)).toBe(false);
  });

  it("reach a final one only through completing", () => {
    const before = JOB_STATES.filter((from) => FINAL_STATES.some((to) => mayMove(from, to)));

    expect(before).toEqual(["completing"]);
  });
});
