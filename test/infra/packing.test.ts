/** How many APIs the system nodes carry, as docs/components.md says: by what the rendered pods ask for. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { systemNodesShape } from "../../components/cluster/system-nodes.ts";
import type { Allocatable } from "../../components/instance-shape.ts";
import { bytesOf } from "../../services/protocol/api-spec.values.ts";
import type { RenderedStack } from "../components/support/render.ts";
import { WHOLE_STACK_MS, wholeStack } from "./whole-stack.ts";

interface Pod {
  readonly name: string;
  readonly cpuMillis: number;
  readonly memoryMiB: number;
}

/** As EKS's add-on declares them, by its default configuration: https://docs.aws.amazon.com/eks/latest/userguide/managing-coredns.html */
const COREDNS: Pod = { name: "coredns", cpuMillis: 100, memoryMiB: 70 };
const REPLICAS = 2;
const page = readFileSync(join(import.meta.dirname, "../../docs/components.md"), "utf8");
const [, documented = "0"] = /two `t3\.medium` carry (\d+) APIs/.exec(page) ?? [];
const APIS = Number(documented);

let stack: RenderedStack;

beforeAll(async () => {
  stack = await wholeStack();
}, WHOLE_STACK_MS);

function podOf(deployment: string): Pod {
  const { spec } = stack.one("kubernetes:apps/v1:Deployment", deployment).inputs as {
    spec: { template: { spec: { containers: readonly { resources: { requests: Record<string, string> } }[] } } };
  };
  const requests = spec.template.spec.containers.map(({ resources }) => resources.requests);
  const millis = (cpu = "0") => Number.parseFloat(cpu) * (cpu.endsWith("m") ? 1 : 1000);
  return {
    name: deployment,
    cpuMillis: requests.reduce((sum, { cpu }) => sum + millis(cpu), 0),
    memoryMiB: requests.reduce((sum, { memory = "0" }) => sum + bytesOf(memory) / 2 ** 20, 0),
  };
}

/** First fit, largest first; answers the pods that found no node. */
function unplaced(
  pods: readonly Pod[],
  nodes: number,
  { cpuMillis, memoryMiB, pods: podsMax }: Allocatable,
): readonly Pod[] {
  const free = Array.from({ length: nodes }, () => ({ cpuMillis, memoryMiB, pods: podsMax }));
  return pods
    .toSorted((one, other) => other.memoryMiB - one.memoryMiB)
    .filter((pod) => {
      const node = free.find(
        (each) => each.cpuMillis >= pod.cpuMillis && each.memoryMiB >= pod.memoryMiB && each.pods >= 1,
      );
      if (node === undefined) return true;
      node.cpuMillis -= pod.cpuMillis;
      node.memoryMiB -= pod.memoryMiB;
      node.pods -= 1;
      return false;
    });
}

function systemPods(apis: number, podsPerApi: number): readonly Pod[] {
  const services = Array.from({ length: apis * podsPerApi }, () => podOf("file-types-service"));
  return [COREDNS, COREDNS, podOf("batch-autoscaler"), ...services];
}

describe("the system nodes", () => {
  const { nodesMin, nodesMax, shape, instanceType } = systemNodesShape();

  it("are what the page speaks of", () => {
    expect({ instanceType, nodesMin, nodesMax }).toEqual({ instanceType: "t3.medium", nodesMin: 2, nodesMax: 3 });
    expect(APIS).toBeGreaterThan(0);
  });

  it("carry so many APIs as the page says, and that is no understatement", () => {
    expect(unplaced(systemPods(APIS, REPLICAS), nodesMin, shape.allocatable)).toEqual([]);
    expect(unplaced(systemPods(APIS + 2, REPLICAS), nodesMin, shape.allocatable)).not.toEqual([]);
  });

  it("carry all of them while each rolls, with the node that the autoscaler adds", () => {
    expect(unplaced(systemPods(APIS, REPLICAS + 1), nodesMax, shape.allocatable)).toEqual([]);
  });
});
