/** A running job in one or two lines. Pure: from what the service says to text. */
import type { jobToWire } from "../services/batch-api/routes/job-wire.ts";
import { isFinal, type JobState } from "../services/protocol/states.ts";
import { about, counted, countOf, percent, rate } from "./amounts.ts";
import { visible, type Colour, type Paint } from "./paint.ts";

/** A job as the service answers it. */
export type Job = ReturnType<typeof jobToWire>;

const BAR_CELLS_MAX = 24;
const BAR_CELLS_MIN = 8;
/** The bar's part of the line: fixed, so that it does not jump when a figure comes or goes. */
const BAR_SHARE = 0.2;
const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

const STATE_COLOURS = {
  pending: "yellow",
  running: "cyan",
  completing: "cyan",
  succeeded: "green",
  completed_with_failures: "yellow",
  failed: "red",
  stopped: "yellow",
  timed_out: "red",
} as const satisfies Record<JobState, Colour>;

/** `completed with failures`, in its colour. */
export function stateWords(state: JobState, paint: Paint): string {
  return paint(STATE_COLOURS[state], state.replaceAll("_", " "));
}

/** The live lines of a terminal: the bar with its figures, and why it waits, none wider than `columns`. */
export function barLines(job: Job, columns: number, paint: Paint): readonly string[] {
  const width = Math.max(20, columns - 1);
  const state = stateWords(job.state, paint);
  const cells = Math.max(BAR_CELLS_MIN, Math.min(BAR_CELLS_MAX, Math.floor(width * BAR_SHARE)));
  const figures = fitting(job, paint, width - visible(state).length - cells - 2);
  const line = `${state} ${barOf(job, cells, paint)} ${figures}`;
  if (job.message === "" || isFinal(job.state)) return [line];
  return [line, ...wrapped(job.message, width - 2, 3).map((part) => paint("dim", `  ${part}`))];
}

/** The same without a terminal: all figures, one line. */
export function plainLine(job: Job): string {
  const figures = figuresOf(job, (_, text) => text).map(({ text }) => text);
  const message = job.message === "" || isFinal(job.state) ? "" : `: ${job.message}`;
  return `${job.state.replaceAll("_", " ")}: ${figures.join(", ")}${message}`;
}

function barOf(job: Job, cells: number, paint: Paint): string {
  const { total, succeeded, failed } = job.items;
  const whole = total === 0 ? 0 : (cells * Math.min(total, succeeded + failed)) / total;
  const full = Math.floor(whole);
  const part = EIGHTHS[Math.floor((whole - full) * 8)] ?? "";
  const done = "█".repeat(full) + part;
  return paint(failed > 0 ? "yellow" : "green", done) + paint("dim", "░".repeat(cells - full - part.length));
}

interface Figure {
  readonly text: string;
  /** The highest go first when it gets narrow. */
  readonly rank: number;
}

function figuresOf(job: Job, paint: Paint): readonly Figure[] {
  const { items, batches, workers } = job;
  const settled = items.succeeded + items.failed;
  const total = `${counted(items.total)}${batches.complete ? "" : "+"}`;
  const unready = workers.ready < workers.asked && !isFinal(job.state);
  // Towards the end fewer are asked for than are there.
  const words = `${counted(workers.ready)}/${counted(Math.max(workers.asked, workers.ready))} workers`;
  const figures: Figure[] = [
    { text: percent(settled, items.total), rank: 0 },
    { text: `${counted(settled)}/${total} items`, rank: 1 },
    { text: `${counted(batches.succeeded + batches.failed)}/${counted(batches.total)} batches`, rank: 6 },
    { text: items.failed > 0 ? paint("red", `${counted(items.failed)} failed`) : "0 failed", rank: 2 },
  ];
  if (job.rate_items_per_second > 0) figures.push({ text: rate(job.rate_items_per_second), rank: 4 });
  if (workers.asked > 0) figures.push({ text: unready ? paint("yellow", words) : words, rank: 5 });
  if (workers.lost > 0) figures.push({ text: paint("red", `${countOf(workers.lost, "worker")} lost`), rank: 7 });
  const left = job.estimated_seconds_left;
  if (left !== null && left > 0) figures.push({ text: `${about(left)} left`, rank: 3 });
  return figures;
}

/** As many figures as there is room for, the more important ones kept. */
function fitting(job: Job, paint: Paint, room: number): string {
  let figures = figuresOf(job, paint);
  const joined = () => figures.map(({ text }) => text).join("  ");
  while (figures.length > 1 && visible(joined()).length > room) {
    const last = Math.max(...figures.map(({ rank }) => rank));
    figures = figures.filter(({ rank }) => rank !== last);
  }
  return joined();
}

/** Words in lines of at most `width`; what does not fit into `linesMax` ends in an ellipsis. */
export function wrapped(text: string, width: number, linesMax: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = "";
    }
    line = (line === "" ? word : `${line} ${word}`).slice(0, width);
  }
  lines.push(line);
  if (lines.length <= linesMax) return lines;
  const last = lines[linesMax - 1] ?? "";
  return [...lines.slice(0, linesMax - 1), `${last.slice(0, width - 1)}…`];
}
