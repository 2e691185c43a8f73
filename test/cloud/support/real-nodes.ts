import { describe } from "vitest";
import { realNodesPrefix, whyNoRealNodes } from "../../../scripts/real-nodes.ts";

/** Whether real nodes can run on this machine; where they cannot, pods run as processes. */
export function nodesAllowed(): boolean {
  return whyNoRealNodes(process.env) === undefined;
}

/**
 * `describe` for tests that mean nothing without kubelet, containerd and runc (memory limits, images, network). Skipped where
 * `nodesAllowed` says no, which `npm run test:cloud` allows for these tests alone and says loudly. Only at the top of a file.
 */
export function describeOnRealNodes(name: string, tests: () => void): void {
  describe.skipIf(!nodesAllowed())(`${realNodesPrefix}: ${name}`, tests);
}
