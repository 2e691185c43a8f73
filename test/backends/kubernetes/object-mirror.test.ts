import { beforeEach, describe, expect, it } from "vitest";
import {
  ObjectMirror,
  type MirroredObject,
  type WatchListener,
} from "../../../services/backends/kubernetes/object-mirror.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const object = (uid: string, version: number): MirroredObject => ({
  metadata: { uid, resourceVersion: String(version) },
});

/** An API server in small: what it lists, and the watch that stands. */
class Server {
  items: MirroredObject[] = [];
  version = 1;
  lists = 0;
  away = false;
  readonly from: string[] = [];
  tell: WatchListener = () => undefined;
  end: (error: unknown) => void = () => undefined;

  list = async () => {
    this.lists += 1;
    if (this.away) throw new Error("away");
    return { items: this.items, resourceVersion: String(this.version) };
  };

  watch = async (version: string, listener: WatchListener, done: (error: unknown) => void) => {
    if (this.away) throw new Error("away");
    this.from.push(version);
    this.tell = listener;
    this.end = done;
    const controller = new AbortController();
    controller.signal.addEventListener("abort", () => done(null));
    return controller;
  };
}

describe("ObjectMirror", () => {
  let server: Server;
  let clock: VirtualClock;
  let mirror: ObjectMirror<MirroredObject>;
  let gone: string[];
  const uids = async () => (await mirror.fresh()).map(({ metadata }) => metadata?.uid);
  beforeEach(async () => {
    server = new Server();
    clock = new VirtualClock();
    gone = [];
    const random = { hex: () => "", fraction: () => 0.5 };
    const onGone = ({ metadata }: MirroredObject) => gone.push(metadata?.uid ?? "");
    mirror = new ObjectMirror({ resource: "pods", list: server.list, watch: server.watch, clock, random, onGone });
    server.items = [object("a", 1)];
    mirror.start();
    await clock.advance(0);
  });

  it("follows without listing while its watch is heard", async () => {
    server.tell("ADDED", object("b", 2));
    server.tell("DELETED", object("a", 3));

    expect([await uids(), gone, server.lists]).toEqual([["b"], ["a"], 1]);
  });

  it("lists anew when its watch was not heard for too long, and throws when it cannot", async () => {
    clock.jump(36_000);
    expect([await uids(), server.lists]).toEqual([["a"], 2]);

    server.away = true;
    clock.jump(2_000);
    await expect(mirror.fresh()).rejects.toThrow("away");
  });

  it("lists anew without a watch, but not twice within a second, and throws once its last list is older", async () => {
    await clock.advance(2_000);
    server.items = [object("a", 1), object("b", 2)];
    server.end(new Error("reset"));
    await clock.advance(0);

    expect([await uids(), server.lists]).toEqual([["a", "b"], 2]);
    server.away = true;
    clock.jump(900);
    expect([await uids(), server.lists]).toEqual([["a", "b"], 2]);
    clock.jump(100);
    await expect(mirror.fresh()).rejects.toThrow("away");
  });

  it("takes its watch up after the last bookmark", async () => {
    server.tell("BOOKMARK", object("", 40));
    server.end(new Error("reset"));
    await clock.advance(0);
    await clock.advance(1_000);

    expect([server.from, server.lists]).toEqual([["1", "40"], 1]);
  });

  it("lists again when the server no longer knows where it was, and tells what went meanwhile", async () => {
    Object.assign(server, { items: [object("b", 50)], version: 50 });
    server.tell("ERROR", { code: 410 });
    server.end(null);
    await clock.advance(0);
    await clock.advance(1_000);

    expect([server.from, await uids(), gone]).toEqual([["1", "50"], ["b"], ["a"]]);
  });

  it("never goes back: an old listing brings neither old states nor gone objects", async () => {
    server.tell("MODIFIED", object("b", 9));
    server.tell("DELETED", object("a", 10));
    server.items = [object("a", 1), object("b", 2)];
    await mirror.list();

    expect((await mirror.fresh()).map(({ metadata }) => [metadata?.uid, metadata?.resourceVersion])).toEqual([
      ["b", "9"],
    ]);
    expect(gone).toEqual(["a"]);
  });

  it("keeps what was written after the listing that does not have it", async () => {
    mirror.note(object("written", 99));
    await mirror.list();

    expect([await uids(), gone]).toEqual([["a", "written"], []]);
  });

  it("ends its watch and leaves no timer", async () => {
    await mirror.close();

    expect(clock.sleeping).toBe(0);
  });
});
