/** A transcript of the demo as it is compared: what differs from run to run and from machine to machine is masked. */

/** Told only when the environment is not there yet. */
const ENVIRONMENT = /^ {2}(making|resolving|downloading|installing|running|waiting|the environment)\b/;
/** A live bar or, when piped, lines of progress. */
const PROGRESS = /^(pending|running|completing)[: ]/;
const TABLE_HEAD = /^type +group +files +share +misnamed$/;

/** Figures, ids, names of workers, rows of the table and the example's path are masked; progress is left out. */
export function maskedTranscript(text: string): string {
  const lines: string[] = [];
  let inTable = false;
  for (const line of text.split("\n").map((one) => one.trimEnd())) {
    if (ENVIRONMENT.test(line) || PROGRESS.test(line)) continue;
    if (inTable && line !== "") continue;
    inTable = TABLE_HEAD.test(line);
    lines.push(inTable ? "TABLE" : maskedLine(line));
  }
  return `${lines.join("\n").trim()}\n`;
}

function maskedLine(line: string): string {
  return line
    .replace(/^ {2}\S.*: in it is \w+ \(.* % sure\)$/, "  FILE: in it is TYPE (# % sure)")
    .replace(/\b\d+-\d+-\d+-[0-9a-f]{8}\b/g, "WORKER")
    .replace(/\b[0-9a-f]{16}\b/g, "JOB")
    .replace(/(\d+ h )?(\d+ min )?\d[\d.]* s\b/g, "# s")
    .replace(/\d+(,\d{3})*(\.\d+)*/g, "#")
    .replace(/unsettled batch\b(?!es)/, "unsettled batches")
    .replace(/\(batch #(, #)*\)/, "(batch #)")
    .replace(/WORKER( and WORKER)+/, "WORKER")
    .replace(/# file is not what its name says/, "# files are not what their names say");
}
