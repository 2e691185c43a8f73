import { realRandom } from "../../services/backends/clock.real.ts";
import { S3Store, type S3StoreOptions } from "../../services/backends/object-store.s3.ts";
import { RequestCounts } from "../../services/backends/s3/request-counts.ts";
import type { FakeFault, FakeS3, ScriptedFault } from "./fake-s3.ts";
import { HurriedClock } from "./hurried-clock.ts";

export const S3_CREDENTIALS = { accessKeyId: "test", secretAccessKey: "test" };

/** A store over a scripted S3, with all that a test looks at. */
export function anS3Store(fake: FakeS3, options: Partial<S3StoreOptions> = {}) {
  const clock = new HurriedClock();
  const counts = new RequestCounts();
  const said: string[] = [];
  const store = new S3Store({
    bucket: "data",
    access: { endpoint: fake.endpoint, region: "eu-central-1", credentials: S3_CREDENTIALS },
    clock,
    random: { ...realRandom, fraction: () => 0.5 },
    say: (sentence) => said.push(sentence),
    onRequest: counts.note,
    ...options,
  });
  return { store, clock, counts, said };
}

/** Script entries: the next request of each method meets the fault. */
export function next(method: ScriptedFault["method"], fault: FakeFault | FakeFault["does"]): ScriptedFault {
  return { method, fault: typeof fault === "string" ? ({ does: fault } as FakeFault) : fault };
}

export function answer(status: number, code: string, headers: Readonly<Record<string, string>> = {}): FakeFault {
  return { does: "answers", with: { status, code, headers } };
}
