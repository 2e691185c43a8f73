/** Numbers as people read them. */

/** `12,345`. */
export function counted(count: number): string {
  return count.toLocaleString("en-US");
}

/** `1 batch`, `12,345 batches`. */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${counted(count)} ${count === 1 ? one : many}`;
}

/** `0.4 s`, `12.3 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${String(Math.floor(whole / 60))} min ${String(whole % 60)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 24 * 60) return `${String(Math.floor(minutes / 60))} h ${String(minutes % 60)} min`;
  const hours = Math.round(seconds / 3600);
  return `${counted(Math.floor(hours / 24))} d ${String(hours % 24)} h`;
}

/** As `duration`, in whole seconds: for what is only estimated. */
export function about(seconds: number): string {
  return seconds < 60 ? `${String(Math.max(1, Math.ceil(seconds)))} s` : duration(seconds);
}

/** `71.3 items/s`, `8,204 items/s`. */
export function rate(perSecond: number, unit = "items"): string {
  return `${perSecond < 100 ? perSecond.toFixed(1) : counted(Math.round(perSecond))} ${unit}/s`;
}

/** `512 B`, `1.4 GiB`. */
export function byteSize(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? String(value) : value.toFixed(1)} ${units[unit] ?? ""}`;
}

/** Like `99.9 %`: never 100 before all is done, never 0 after something is. */
export function percent(part: number, whole: number): string {
  if (whole === 0) return "0 %";
  if (part >= whole) return "100 %";
  const share = Math.floor((part / whole) * 100);
  return `${String(part > 0 ? Math.max(1, Math.min(99, share)) : 0)} %`;
}
