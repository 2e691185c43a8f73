/** Values that several sections of an API spec have: amounts in Kubernetes' spellings, and environment variables. */
import type { ComputeSpec } from "./api-spec.ts";
import { type Fields, found } from "./fields.ts";

const GPUS_MAX = 64;

interface Quantity {
  readonly shape: RegExp;
  /** Follows "write". */
  readonly expected: string;
}

export const CPUS: Quantity = { shape: /^\d+(\.\d+)?$|^\d+m$/, expected: "a number of CPUs like 2, 0.5 or 500m" };
export const MEMORY: Quantity = {
  shape: /^\d+(\.\d+)?([KMGTP]i|[kMGTP])?$/,
  expected: "an amount of memory like 512Mi or 4Gi",
};

const POWERS = "kMGTP";

/** How many bytes an amount of memory is that `MEMORY` accepts. */
export function bytesOf(quantity: string): number {
  const amount = Number.parseFloat(quantity);
  const [letter = "", binary] = quantity.replace(/^[\d.]+/, "");
  const power = POWERS.toLowerCase().indexOf(letter.toLowerCase()) + 1;
  return letter === "" ? amount : amount * (binary === "i" ? 1024 : 1000) ** power;
}

/** `cpu`, `mem` and `gpu`, in Kubernetes' spellings. */
export function parseQuantities(fields: Fields): ComputeSpec {
  const cpu = parseQuantity(fields, "cpu", CPUS);
  const mem = parseQuantity(fields, "mem", MEMORY);
  return { cpu, mem, gpu: fields.integer("gpu", { min: 0, max: GPUS_MAX }) ?? 0 };
}

/** One quantity; null: none, or a fault. */
export function parseQuantity(fields: Fields, name: string, { shape, expected }: Quantity): string | null {
  const value = fields.raw(name);
  if (value === undefined) return null;
  const text = typeof value === "number" ? String(value) : value;
  if (typeof text === "string" && shape.test(text) && Number.parseFloat(text) > 0) return text;
  fields.fault(name, found(value), `write ${expected}`);
  return null;
}

export function isEnvironmentName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}

/** Names that the service gives to its workers' variables itself. */
export function isOwnEnvironmentName(name: string): boolean {
  return /^(CORTEX_|MILLRACE_)/.test(name);
}

/** Environment variables. Their values are never quoted in a fault. */
export function parseEnv(fields: Fields, name: string): Readonly<Record<string, string>> {
  const env: Record<string, string> = {};
  for (const [key, value] of Object.entries(fields.record(name) ?? {})) {
    const field = `${name}.${key}`;
    if (!isEnvironmentName(key)) {
      fields.fault(field, "a name that no environment variable has", "use letters, digits and _, no digit first");
    } else if (isOwnEnvironmentName(key)) {
      fields.fault(
        field,
        "a name of the service's own",
        "choose one that starts neither with CORTEX_ nor with MILLRACE_",
      );
    } else if (typeof value !== "string") {
      fields.fault(field, "something that is no text", "put the value in quotes");
    } else env[key] = value;
  }
  return env;
}
