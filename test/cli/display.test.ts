import { describe, expect, it } from "vitest";
import { about, byteSize, countOf, duration, percent, rate } from "../../cli/amounts.ts";
import { barLines, plainLine } from "../../cli/bar.ts";
import { jobLines, jobTable } from "../../cli/job-tables.ts";
import { LiveLines } from "../../cli/live-lines.ts";
import { paintFor, plain, visible } from "../../cli/paint.ts";
import { tableLines } from "../../cli/table.ts";
import { aSink } from "../support/a-cli.ts";
import { aJobOnWire } from "../support/a-job-on-wire.ts";

const NOW = Date.parse("2026-01-02T03:05:05.000Z");

describe("the bar", () => {
  it("shows all figures where there is room", () => {
    expect(barLines(aJobOnWire(), 130, plain)).toEqual([
      "running ████████████░░░░░░░░░░░░ 50 %  5,000/10,000 items  50/100 batches  0 failed  71.3 items/s  2/2 workers  1 min 10 s left",
    ]);
  });

  it("drops the least important figures where it is narrow, and never the line's end", () => {
    for (let columns = 45; columns < 140; columns++) {
      const [line = ""] = barLines(aJobOnWire(), columns, plain);

      expect(line.length, line).toBeLessThan(columns);
      expect(line).toContain("50 %");
    }
  });

  it("says that totals still grow while the input is being cut", () => {
    const batches = { total: 100, complete: false, succeeded: 0, failed: 0, running: 0, waiting: 100 };

    expect(barLines(aJobOnWire({ batches }), 120, plain)[0]).toContain("5,000/10,000+ items");
  });

  it("shows why a job waits, in at most three lines of the terminal's width", () => {
    const message = "Waits for a lane: all 2 lanes are held by other jobs, and this sentence goes on. ".repeat(5);
    const lines = barLines(aJobOnWire({ state: "pending", message }), 60, plain);

    expect(lines).toHaveLength(4);
    for (const line of lines) expect(line.length).toBeLessThan(60);
    expect(lines[3]).toMatch(/…$/);
  });

  it("has failures in red and lost workers named", () => {
    const paint = paintFor(aSink(80).sink, {});
    const items = { total: 10, succeeded: 4, failed: 1, running: 2, waiting: 3 };
    const workers = { asked: 2, pending: 0, starting: 1, ready: 1, lost: 1, sick: 0 };
    const [line = ""] = barLines(aJobOnWire({ items, workers }), 140, paint);

    expect(line).toContain("\x1b[31m1 failed\x1b[39m");
    expect(visible(line)).toContain("1/2 workers  1 worker lost");
  });

  it("is one plain line where there is no terminal", () => {
    const workers = { asked: 2, pending: 0, starting: 2, ready: 0, lost: 0, sick: 0 };

    expect(plainLine(aJobOnWire({ workers, message: "workers are starting", rate_items_per_second: 0 }))).toBe(
      "running: 50 %, 5,000/10,000 items, 50/100 batches, 0 failed, 0/2 workers, 1 min 10 s left: workers are starting",
    );
  });
});

describe("live lines", () => {
  it("overwrite themselves in one write, and leave sentences above", () => {
    const { sink, text } = aSink(80);
    const lines = new LiveLines(sink);

    lines.draw(["one", "two"]);
    lines.draw(["one", "two"]);
    lines.draw(["three"]);
    lines.say("said");
    lines.clear();

    expect(text()).toBe(
      "one\x1b[K\ntwo\x1b[K\n\x1b[J" +
        "\x1b[2A\rthree\x1b[K\n\x1b[J" +
        "\x1b[1A\r\x1b[J" +
        "said\n" +
        "three\x1b[K\n\x1b[J" +
        "\x1b[1A\r\x1b[J",
    );
  });
});

describe("colours", () => {
  it("are off when piped, with NO_COLOR, and on a dumb terminal", () => {
    const terminal = aSink(80).sink;

    expect(paintFor(terminal, {})("red", "x")).toBe("\x1b[31mx\x1b[39m");
    expect(paintFor(terminal, { NO_COLOR: "1" })("red", "x")).toBe("x");
    expect(paintFor(terminal, { TERM: "dumb" })("red", "x")).toBe("x");
    expect(paintFor(aSink().sink, {})("red", "x")).toBe("x");
  });
});

describe("tables", () => {
  it("align their columns, whatever their colours", () => {
    const paint = paintFor(aSink(80).sink, {});
    const rows = [
      ["a", paint("red", "1")],
      ["long", "1,000"],
    ];

    expect(tableLines([{ title: "name" }, { title: "n", right: true }], rows, plain).map(visible)).toEqual([
      "name      n",
      "a         1",
      "long  1,000",
    ]);
  });

  it("list jobs with their counts", () => {
    const ended = { state: "succeeded", ended_at: "2026-01-02T03:04:48.000Z" } as const;

    expect(jobTable([aJobOnWire(), aJobOnWire(ended)], NOW, plain)).toEqual([
      "job               state       items  succeeded  failed  submitted        took",
      "0123456789abcdef  running    10,000      5,000       0  1 min 0 s ago  59.0 s",
      "0123456789abcdef  succeeded  10,000      5,000       0  1 min 0 s ago  42.0 s",
    ]);
  });

  it("show a job whole", () => {
    const lines = jobLines(aJobOnWire({ message: "all is well", warnings: ["a field was ignored"] }), NOW, plain);

    expect(lines).toContain("workers          2 ready, 0 starting, 0 lost, 0 stood down, of 2 asked");
    expect(lines).toContain("                 all is well");
    expect(lines).toContain("warning          a field was ignored");
  });

  it("tell what an early end skipped, and of workers only when some were asked for", () => {
    const items = { total: 64, succeeded: 26, failed: 0, running: 0, waiting: 0 };
    const none = { asked: 0, pending: 0, starting: 0, ready: 0, lost: 0, sick: 0 };
    const stopped = jobLines(aJobOnWire({ state: "stopped", items }), NOW, plain);
    const pending = jobLines(aJobOnWire({ state: "pending", workers: none }), NOW, plain);

    expect(stopped).toContain("items            64: 26 succeeded, 0 failed, 38 skipped");
    expect(jobLines(aJobOnWire(), NOW, plain).join()).not.toContain("skipped");
    expect(pending.join()).not.toContain("asked");
  });
});

describe("amounts", () => {
  it("read like a person would say them", () => {
    expect([0.04, 59.9, 60, 3599, 3600, 90_000].map(duration)).toEqual([
      "0.0 s",
      "59.9 s",
      "1 min 0 s",
      "59 min 59 s",
      "1 h 0 min",
      "1 d 1 h",
    ]);
    expect([0.2, 12.1].map(about)).toEqual(["1 s", "13 s"]);
    expect([countOf(1, "batch", "batches"), countOf(1200, "item")]).toEqual(["1 batch", "1,200 items"]);
    expect([byteSize(512), byteSize(1536), byteSize(3 * 1024 ** 3)]).toEqual(["512 B", "1.5 KiB", "3.0 GiB"]);
    expect([rate(0.44), rate(8204.4)]).toEqual(["0.4 items/s", "8,204 items/s"]);
  });

  it("never say 100 % before the end, nor 0 % after the start", () => {
    expect([percent(0, 0), percent(1, 100_000), percent(99_999, 100_000), percent(5, 5)]).toEqual([
      "0 %",
      "1 %",
      "99 %",
      "100 %",
    ]);
  });
});
