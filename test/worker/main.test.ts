import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { ENV } from "../../services/protocol/environment.ts";
import { WORKER_EXIT } from "../../services/protocol/exit-codes.ts";

const MAIN = join(import.meta.dirname, "../../services/worker/main.ts");

describe("a worker's program", () => {
  const server = createServer();
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  it("leaves as drained when it is asked to before it has read what its job is", async () => {
    const asked = once(server, "request"); // and never answered
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const endpoint = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
    const worker = spawn(process.execPath, [MAIN], {
      stdio: "ignore",
      env: {
        AWS_ENDPOINT_URL: endpoint,
        AWS_REGION: "eu-central-1",
        AWS_ACCESS_KEY_ID: "test",
        AWS_SECRET_ACCESS_KEY: "test",
        JOB_COMPLETION_INDEX: "0",
        [ENV.api]: "photos",
        [ENV.job]: "00000000000000aa",
        [ENV.lane]: "0",
        [ENV.lanes]: `${endpoint}/000000000000/lane-0`,
        [ENV.epoch]: "1",
        [ENV.generation]: "1",
        [ENV.podUid]: "00000000-0000-0000-0000-000000000000",
        [ENV.scratch]: "/nowhere",
        [ENV.store]: "s3://store",
        [ENV.logGroup]: "group",
      },
    });
    const ended = once(worker, "exit");
    await asked;

    worker.kill("SIGTERM");

    expect(await ended).toEqual([WORKER_EXIT.drained, null]);
  });
});
