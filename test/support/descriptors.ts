/** What a service holds open; whoever asks it keeps connections for as long as a minute, and these are not counted. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import type { RunningService } from "./a-service.ts";

/** State 01 of proc(5): a connection that is up. */
const ESTABLISHED = "01";

/** What each descriptor is open on, but for the connections of its clients. */
export function descriptorsOf({ pid, address }: Pick<RunningService, "pid" | "address">): readonly string[] {
  const folder = `/proc/${String(pid)}/fd`;
  const asking = connectionsTo(Number(new URL(address).port));
  const open = readdirSync(folder).flatMap((name) => {
    try {
      return [readlinkSync(join(folder, name))];
    } catch {
      return []; // closed meanwhile
    }
  });
  return open.filter((target) => !asking.has(target));
}

function connectionsTo(port: number): ReadonlySet<string> {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = ["tcp", "tcp6"].flatMap((table) => readFileSync(`/proc/net/${table}`, "utf8").split("\n"));
  const inodes = rows.flatMap((row) => {
    const fields = row.trim().split(/ +/);
    return fields[1]?.endsWith(suffix) === true && fields[3] === ESTABLISHED ? [`socket:[${String(fields[9])}]`] : [];
  });
  return new Set(inodes);
}
