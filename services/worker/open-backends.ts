import type { Environment } from "../backends/cloud-config.ts";
import type { WorkerBackends } from "./backends.ts";
import type { WorkerConfig } from "./config.ts";

/** Those of the world that the worker is in; the other's code is not even loaded. */
export async function openBackends(config: WorkerConfig, environment: Environment): Promise<WorkerBackends> {
  const { backends: place } = config;
  if (place.kind === "laptop") return (await import("./backends.laptop.ts")).openLaptop(config, place, environment);
  return (await import("./backends.cloud.ts")).openCloud(config, place, environment);
}
