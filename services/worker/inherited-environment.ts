import type { Environment } from "../backends/cloud-config.ts";

/** What programs of the user inherit of a worker's environment variables: all that a program needs to run here, and none of ours. */
export function inheritedEnvironment(environment: Environment): Record<string, string> {
  const inherited: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && !name.startsWith("MILLRACE_") && !name.startsWith("NODE_")) inherited[name] = value;
  }
  return inherited;
}
