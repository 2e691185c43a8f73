/** A test run may be killed at any moment: the machine must be as it was. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, it } from "vitest";
import { awaitWith } from "../support/cluster-process.ts";
import { leavingsOf } from "../support/leavings.ts";
import { describeOnRealNodes } from "../support/real-nodes.ts";

describeOnRealNodes("the killed owner of a test cluster", () => {
  it("leaves no process, folder, control group, mount or network link", async () => {
    const owner = spawn(process.execPath, [join(import.meta.dirname, "owner-that-dies.ts")], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const ended = once(owner, "exit");
    const [line] = (await Promise.race([
      once(createInterface(owner.stdout), "line"),
      ended.then(([code]) => Promise.reject(new Error(`the owner ended with ${String(code)} before it said anything`))),
    ])) as [string];
    const place = JSON.parse(line) as { id: string; folder: string };
    const kinds = (left: readonly string[]) => ({
      kubelet: left.some((one) => one.includes("kubelet")),
      pods: left.some((one) => one === `memory/millrace-${place.id}-node1`),
      bridge: left.includes(`mr${place.id}n1`),
      folder: left.includes(place.folder),
    });
    expect(kinds(leavingsOf(place))).toEqual({ kubelet: true, pods: true, bridge: true, folder: true });

    owner.kill("SIGKILL");
    await ended;

    await awaitWith("nothing to be left", [], () => leavingsOf(place).length === 0, 15).catch(() => undefined);
    expect(leavingsOf(place)).toEqual([]);
  });
});
