import { Gauge, type Registry } from "prom-client";
import type { Replica } from "./replica.ts";

/** What the drivers of this process are at; never the source of a count that a user reads. */
export function driverMetrics(registry: Registry, replica: Replica): void {
  const gauge = (name: string, help: string, value: () => number) => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(value());
      },
    });
  };
  const sum = (of: (facts: ReturnType<Replica["driven"]>[number]) => number) => {
    return () => replica.driven().reduce((total, facts) => total + of(facts), 0);
  };
  gauge("millrace_jobs_driven", "Jobs that this process drives", () => replica.driven().length);
  gauge(
    "millrace_batches_waiting",
    "Batches of driven jobs that no worker holds",
    sum((facts) => facts.batches_waiting),
  );
  gauge(
    "millrace_batches_running",
    "Batches of driven jobs that workers hold",
    sum((facts) => facts.batches_running),
  );
  gauge(
    "millrace_workers_ready",
    "Workers of driven jobs whose handler is up",
    sum(({ workers }) => workers.ready),
  );
  gauge(
    "millrace_workers_lost",
    "Workers of driven jobs that ended without leaving",
    sum(({ workers }) => workers.lost),
  );
  gauge(
    "millrace_items_per_second",
    "Items settled a second, of driven jobs",
    sum((facts) => facts.items_per_second),
  );
}
