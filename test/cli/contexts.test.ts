import { mkdir, readdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { changeContexts, contextsPath, readContexts, withCurrent, type HeldBy } from "../../cli/contexts.ts";
import { startServing } from "../../cli/serving.ts";
import { identify } from "../../services/backends/process-identity.ts";
import { CliUser } from "../support/a-cli.ts";

/** A service in name only, and whom it was asked by. */
interface Door {
  readonly server: Server;
  readonly address: string;
  readonly keys: (string | undefined)[];
}

const closers: (() => Promise<unknown>)[] = [];
let user: CliUser;

beforeEach(async () => {
  user = await CliUser.create();
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await user.remove();
});

async function aDoor(): Promise<Door> {
  const keys: (string | undefined)[] = [];
  const server = createServer((request, answer) => {
    keys.push(request.headers.authorization);
    answer.writeHead(200, { "content-type": "application/json" }).end('{"apis":[]}');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => new Promise((resolve) => server.close(resolve)));
  return { server, keys, address: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}` };
}

/** As `millrace connect` saves it. */
function heldBy(parts: Partial<HeldBy> = {}): HeldBy {
  const process_ = identify(process.pid);
  if (process_ === undefined) throw new Error("this process lives");
  const command = "millrace connect photos --namespace batch-photos";
  return { process: process_, api: "photos", namespace: "batch-photos", cluster: "dev", command, ...parts };
}

const DEAD = { pid: process.pid, startTime: "another" };

function shown(answer: { readonly out: string }): unknown {
  return JSON.parse(answer.out);
}

describe("the file of contexts", () => {
  it("is the user's alone, whole at any time, and holds no key", async () => {
    const key = join(user.home, "key");
    await writeFile(key, "secret");

    const added = await user.run([
      "context",
      "add",
      "prod",
      "--address",
      "https://batch.test",
      "--api-key-file",
      "key",
    ]);

    expect(added, added.err).toMatchObject({ code: 0, err: "commands go to prod, https://batch.test\n" });
    const path = join(user.home, ".config/millrace/contexts.json");
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(dirname(path))).mode & 0o777).toBe(0o700);
    expect(await readdir(dirname(path))).toEqual(["contexts.json"]);
    expect(JSON.parse(await readFile(path, "utf8"))).toEqual({
      format: 1,
      current: "prod",
      contexts: [{ name: "prod", address: "https://batch.test", apiKeyFile: key }],
    });
  });

  it("lies below XDG_CONFIG_HOME when that is absolute", () => {
    const at = (XDG_CONFIG_HOME: string) => contextsPath({ home: "/h", environment: { XDG_CONFIG_HOME } });

    expect(at("/etc/ann")).toBe("/etc/ann/millrace/contexts.json");
    expect(at("here")).toBe("/h/.config/millrace/contexts.json");
    expect(at("")).toBe("/h/.config/millrace/contexts.json");
  });

  it("loses no change of several processes that change it at once", async () => {
    const names = Array.from({ length: 20 }, (_, at) => `c${String(at)}`);

    await Promise.all(
      names.map((name) => changeContexts(user.cli(), (before) => withCurrent(before, { name, address: "http://a" }))),
    );

    const { contexts } = await readContexts(user.cli());
    expect(contexts.map(({ name }) => name).sort()).toEqual([...names].sort());
  });

  it("is changed although a killed process left its lock", async () => {
    const lock = `${contextsPath(user.cli())}.lock`;
    await mkdir(dirname(lock), { recursive: true });
    await writeFile(lock, "");
    await utimes(lock, new Date(), new Date(Date.now() - 60_000));

    const added = await user.run(["context", "add", "prod", "--address", "https://batch.test"]);

    expect(added, added.err).toMatchObject({ code: 0 });
  });

  it.each([
    ["{", "is no JSON"],
    ['{"format":2}', "is of another version of Millrace"],
    ['{"format":1,"contexts":[{"name":"a","address":"nowhere"}]}', "holds no contexts"],
  ])("names itself and the fix when it holds %s", async (text, what) => {
    const path = contextsPath(user.cli());
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);

    const listed = await user.run(["list"]);

    expect(listed).toMatchObject({ code: 2 });
    expect(listed.err).toContain(`${path} ${what}; remove it`);
  });
});

describe("millrace context", () => {
  it("lists contexts with the current one marked, and this machine as one of them", async () => {
    await user.run(["context", "add", "prod", "--address", "https://batch.test"]);
    await changeContexts(user.cli(), (before) =>
      withCurrent(before, { name: "photos", address: "http://127.0.0.1:1", heldBy: heldBy() }),
    );
    await changeContexts(user.cli(), (before) =>
      withCurrent(before, { name: "gone", address: "http://127.0.0.1:2", heldBy: heldBy({ process: DEAD }) }),
    );

    const listed = await user.run(["context"]);

    expect(listed.out.split("\n").map((line) => line.split(/ {2,}/))).toEqual([
      ["", "NAME", "ADDRESS", "WHERE"],
      ["*", "gone", "http://127.0.0.1:2", "ended: millrace connect photos --namespace batch-photos"],
      ["", "photos", "http://127.0.0.1:1", "batch-photos of dev"],
      ["", "prod", "https://batch.test"],
      ["", "-", user.root, "this machine"],
      [""],
    ]);
    expect(shown(await user.run(["context", "--output", "json"]))).toMatchObject({
      current: "gone",
      contexts: [
        { name: "prod", open: true, api: null },
        { name: "photos", open: true, api: "photos", namespace: "batch-photos", cluster: "dev" },
        { name: "gone", open: false },
      ],
    });
  });

  it("uses one, goes back to this machine, and removes one", async () => {
    await user.run(["context", "add", "a", "--address", "http://a.test"]);
    await user.run(["context", "add", "b", "--address", "http://b.test"]);

    const used = await user.run(["context", "use", "a"]);
    const back = await user.run(["context", "leave"]);
    await user.run(["context", "use", "b"]);
    const removed = await user.run(["context", "remove", "b", "--output", "json"]);

    expect(used).toEqual({ code: 0, out: "", err: "commands go to a, http://a.test\n" });
    expect(back.err).toBe(`commands go to the service of this machine, on ${user.root}\n`);
    expect(shown(removed)).toMatchObject({ current: null, contexts: [{ name: "a" }] });
  });

  it("says so when the shell's MILLRACE_ADDRESS goes before", async () => {
    const environment = { MILLRACE_ADDRESS: "http://c.test" };

    const added = await user.run(["context", "add", "a", "--address", "http://a.test"], { environment });

    expect(added.err).toContain("not while MILLRACE_ADDRESS is set (http://c.test), which goes before: unset it");
  });

  it.each([
    ["context use prdo", 5, 'there is no context "prdo" (there are prod); did you mean "prod"?'],
    ["context use", 2, "context use: NAME is missing"],
    ["context list prod", 2, 'context list: "prod" is one too much'],
    ["context delete prod", 2, 'ACTION: found "delete"; give one of list, use, leave, add, remove'],
    ["context ad prod", 2, 'ACTION: found "ad"; did you mean "add"?'],
    ["context add new", 2, "context add new: --address is missing"],
    ["context add new --address batch.test", 2, '--address: found "batch.test"; give one like'],
    ["context leave prod", 2, 'context leave: "prod" is one too much'],
    ["context add a/b --address http://a", 2, 'NAME: found "a/b"; use letters'],
    ["context add a --address http://a --api-key-file nowhere", 2, "nowhere cannot be read (ENOENT)"],
    ["context use prod --address http://a", 2, "context use: --address and --api-key-file go with"],
    ["connect photos --name a/b", 2, '--name: found "a/b"; use letters'],
  ])("refuses `%s` with the fix", async (line, code, words) => {
    await user.run(["context", "add", "prod", "--address", "https://batch.test"]);

    const refused = await user.run(line.split(" "));

    expect(refused).toMatchObject({ code, out: "" });
    expect(refused.err).toContain(words);
  });
});

describe("where a command goes", () => {
  it("is --address, else MILLRACE_ADDRESS, else the current context, else the root", async () => {
    const [given, environment, context] = [await aDoor(), await aDoor(), await aDoor()];
    const asked = () => [given.keys.length, environment.keys.length, context.keys.length];
    await user.run(["context", "add", "prod", "--address", context.address]);
    const shell = { environment: { MILLRACE_ADDRESS: environment.address } };

    expect((await user.run(["list", "--address", given.address], shell)).code).toBe(0);
    expect(asked()).toEqual([1, 0, 0]);
    expect((await user.run(["list"], shell)).code).toBe(0);
    expect(asked()).toEqual([1, 1, 0]);
    expect((await user.run(["list"])).code).toBe(0);
    expect(asked()).toEqual([1, 1, 1]);
    const root = await user.run(["list", "--root", user.root]);
    expect(root.err).toContain(`no service runs on ${user.root}`);
    await user.run(["context", "leave"]);
    expect((await user.run(["list"])).err).toContain(`no service runs on ${user.root}`);
    expect(asked()).toEqual([1, 1, 1]);
  });

  it("is said when a service of this machine runs beside the current context", async () => {
    const door = await aDoor();
    await user.run(["context", "add", "prod", "--address", door.address]);
    const quiet = await user.run(["list"]);
    const serving = await startServing(user.cli(), {
      ...{ root: user.root, host: "127.0.0.1", port: 0, lanes: 1, allow: [] },
      onFatal: () => {},
    });
    closers.push(() => serving.stop());

    const told = await user.run(["list"]);

    expect(quiet.err).toBe("");
    expect(door.keys).toHaveLength(2);
    expect(told.err).toBe(
      `(context prod; the service that runs on ${user.root} is not asked: --root ${user.root} asks it)\n`,
    );
  });

  it("shows the key of the context's file, and not the shell's, which is another service's", async () => {
    const door = await aDoor();
    await writeFile(join(user.home, "key"), "mr_prod\n");
    await user.run(["context", "add", "prod", "--address", door.address, "--api-key-file", "key"]);

    await user.run(["list"], { environment: { MILLRACE_API_KEY: "mr_dev" } });

    expect(door.keys).toEqual(["Bearer mr_prod"]);
  });

  it("says that the connection of the current context has ended, and how to start it again", async () => {
    await changeContexts(user.cli(), (before) =>
      withCurrent(before, { name: "photos", address: "http://127.0.0.1:1", heldBy: heldBy({ process: DEAD }) }),
    );

    const asked = await user.run(["list", "photos"]);

    expect(asked).toEqual({
      code: 6,
      out: "",
      err:
        'error: the connection of context "photos" has ended; start it again with ' +
        "`millrace connect photos --namespace batch-photos`, or `millrace context leave` goes back to the service of this machine\n",
    });
  });

  it("says that nobody answers there", async () => {
    const door = await aDoor();
    await user.run(["context", "add", "prod", "--address", door.address]);
    await closers.pop()?.();

    const asked = await user.run(["list"]);

    expect(asked.code).toBe(6);
    expect(asked.err).toContain(`no service answers at ${door.address} (ECONNREFUSED); context "prod" leads there`);
    expect(asked.err).toContain("`millrace context leave` goes back to the service of this machine");
  });

  it("is this machine for `run`, whatever is current", async () => {
    const door = await aDoor();
    await user.run(["context", "add", "prod", "--address", door.address]);
    const serving = await startServing(user.cli(), {
      ...{ root: user.root, host: "127.0.0.1", port: 0, lanes: 1, allow: [] },
      onFatal: () => {},
    });
    closers.push(() => serving.stop());
    await mkdir(join(user.home, "echo"));
    await writeFile(
      join(user.home, "echo/millrace.yaml"),
      "name: echo\nhandler:\n  type: python\n  path: handler.py\n",
    );
    await writeFile(join(user.home, "echo/handler.py"), "class Handler:\n    pass\n");

    const ran = await user.run(["run", "echo", "1", "--as", "items"]);

    expect(ran.err).toContain(`using the service that runs on ${user.root}`);
    expect(door.keys).toEqual([]);
  });
});
