/** A command that has nothing to print says why. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CliUser } from "../support/a-cli.ts";
import { aJobOnWire } from "../support/a-job-on-wire.ts";

const LINE = '{"at":"2026-01-02T03:04:05.000Z","worker":"1-1-0-aaaaaaaa","from":"handler","text":"hello"}\n';

let server: Server;
let user: CliUser;
let address: string;

/** A job whose only worker has said one line. */
beforeEach(async () => {
  server = createServer(({ url = "" }, answer) => {
    const silent = /worker=(?!1-1-0-aaaaaaaa)/.test(url);
    answer.end(url.includes("/logs") ? (silent ? "" : LINE) : JSON.stringify(aJobOnWire()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  address = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  user = await CliUser.create();
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await user.remove();
});

test("logs of a worker that there is not name it, and where the names are", async () => {
  const logs = ["logs", "digits", "0123456789abcdef", "--address", address];

  expect((await user.run([...logs, "--worker", "1-1-9"])).err).toBe(
    '--worker: no worker "1-1-9" of job 0123456789abcdef has said anything; `millrace logs 0123456789abcdef` has their names\n',
  );
  expect((await user.run([...logs, "--worker", "1-1-0-aaaaaaaa"])).err).toBe("");
  expect((await user.run(logs)).out).toContain("hello");
});
