import { Registry } from "prom-client";
import type { Clock } from "../../services/backends/clock.ts";
import { buildApp } from "../../services/batch-api/app.ts";
import { LOOPBACK_CALLERS } from "../../services/batch-api/auth/admission.ts";
import type { AppOptions } from "../../services/batch-api/app.ts";
import type { App } from "../../services/batch-api/routes/door.ts";
import { FakeApiService, FakeJobService } from "./fake-services.ts";

/** Sleeps of it end only by `beat()` or by their signal. */
export class ManualClock implements Clock {
  now = Date.UTC(2026, 0, 2, 3, 5, 0);
  #sleepers: (() => void)[] = [];

  monotonicMs(): number {
    return this.now;
  }

  wallMs(): number {
    return this.now;
  }

  sleep(_milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#sleepers.push(resolve);
      signal?.addEventListener("abort", () => {
        reject(new Error("aborted"));
      });
    });
  }

  beat(): void {
    for (const wake of this.#sleepers.splice(0)) wake();
  }
}

export interface TestApp {
  readonly app: App;
  readonly jobs: FakeJobService;
  readonly apis: FakeApiService;
  readonly clock: ManualClock;
}

/** All doors over fakes, with an API `digits` and one, `old`, that speaks Cortex 0.28. */
export async function anApp(options: Partial<AppOptions> = {}): Promise<TestApp> {
  const apis = new FakeApiService();
  apis.add("digits");
  apis.add("old", "0.28");
  const jobs = new FakeJobService(apis);
  const clock = new ManualClock();
  let drawn = 0;
  const random = {
    hex: (bytes: number) => (drawn += 1).toString(16).padStart(bytes * 2, "0"),
    fraction: () => 0.5,
  };
  const app = await buildApp({
    jobs,
    apis,
    clock,
    random,
    metrics: new Registry(),
    readiness: () => ({ kind: "ready" }),
    hosts: { kind: "any" },
    authenticator: LOOPBACK_CALLERS,
    version: "0.0.0",
    ...options,
  });
  return { app, jobs, apis, clock };
}
