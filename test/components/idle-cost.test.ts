import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { idleCost, paidByUse, type Prices } from "./idle-cost/always-on.ts";
import { idleCostPage, monthlyDollars } from "./idle-cost/page.ts";
import { SHAPES, type Shape } from "./idle-cost/shapes.ts";
import { render, RenderedStack } from "./support/render.ts";

const prices = JSON.parse(readFileSync(join(import.meta.dirname, "idle-cost/prices.json"), "utf8")) as Prices;

async function priced(shape: Shape) {
  const stack = await render(shape.program);
  return { ...shape, stack, lines: idleCost(stack, prices), byUse: paidByUse(stack) };
}

/** Each is rendered once. */
const shapes: Awaited<ReturnType<typeof priced>>[] = [];

beforeAll(async () => {
  for (const shape of Object.values(SHAPES)) shapes.push(await priced(shape));
}, 120_000);

function shapeOf(title: string) {
  const found = shapes.find((each) => each.title === title);
  if (found === undefined) throw new Error(`no shape ${title}`);
  return found;
}

/** A stack that has one more resource. */
function withResource({ resources, outputs }: RenderedStack, type: string, inputs: Record<string, unknown> = {}) {
  const [some] = resources;
  if (some === undefined) throw new Error("an empty stack");
  return new RenderedStack([...resources, { ...some, type, name: "one-more", custom: true, inputs }], outputs);
}

describe("docs/idle-cost.md", () => {
  it("is what the rendered stacks cost", async () => {
    const page = await idleCostPage(shapes, prices);

    await expect(page).toMatchFileSnapshot(join(import.meta.dirname, "../../docs/idle-cost.md"));
  });
});

describe("what a stack costs while nothing runs", () => {
  it("counts what is always there, and no node that comes with work", () => {
    const { lines } = shapeOf("Typical");

    expect(lines.map(({ what, count }) => [what, count])).toEqual([
      ["EKS control plane", 1],
      ["t3.medium", 2],
      ["NAT gateway", 1],
      ["requests of an idle service's replica", 2],
      ["gp3 disk, per GiB", 48],
      ["public IPv4 address", 1],
      ["health requests to a lane, per replica", 8],
      ["alarm", 1],
    ]);
    expect(monthlyDollars(lines)).toBeCloseTo(179.6, 1);
  });

  it("is below 100 $ a month in the lean shape", () => {
    const { lines } = shapeOf("Lean");

    expect(monthlyDollars(lines)).toBeLessThan(100);
    expect(lines.map(({ what }) => what)).not.toContain("NAT gateway");
    expect(lines.find(({ what }) => what === "public IPv4 address")?.count).toBe(1);
  });

  it("refuses a resource of which nobody said what it costs", () => {
    const { stack } = shapeOf("Lean");

    expect(() => idleCost(withResource(stack, "aws:rds/instance:Instance"), prices)).toThrow(
      "aws:rds/instance:Instance (one-more) has no price: say in always-on.ts whether it costs by the hour, by use or nothing",
    );
  });

  it("refuses an instance type without a price, once a node of it is always there", () => {
    const { stack } = shapeOf("Lean");
    const group = stack.one("aws:eks/nodeGroup:NodeGroup", "gpus-nodes").inputs;
    const withNodes = { ...group, scalingConfig: { minSize: 1 } };

    expect(() => idleCost(withResource(stack, "aws:eks/nodeGroup:NodeGroup", withNodes), prices)).toThrow(
      "g6.xlarge has no price in prices.json",
    );
  });

  it("refuses a control plane that will cost six times as much", () => {
    const { stack } = shapeOf("Lean");
    const extended = { upgradePolicy: { supportType: "EXTENDED" } };

    expect(() => idleCost(withResource(stack, "eks:index:Cluster", extended), prices)).toThrow("six times as much");
  });
});
