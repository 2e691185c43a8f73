/** The page that tells what a stack costs while nothing runs. */
import { format } from "prettier";
import { type CostLine, type Prices } from "./always-on.ts";
import type { Shape } from "./shapes.ts";

const NAT_BY_USE = "NAT gateway: 0.045 $ for each GB of what is not S3 of the region: images, packages, logs, queues";

export interface PricedShape extends Shape {
  readonly lines: readonly CostLine[];
  readonly byUse: readonly string[];
}

export function monthlyDollars(lines: readonly CostLine[]): number {
  return lines.reduce((sum, { dollars }) => sum + dollars, 0);
}

/** @returns Markdown as Prettier would leave it */
export async function idleCostPage(shapes: readonly PricedShape[], prices: Prices): Promise<string> {
  const byUse = [...new Set(shapes.flatMap((shape) => shape.byUse))];
  const page = [
    "# What a stack costs while nothing runs",
    `This page is written by \`test/components/idle-cost.test.ts\` from stacks that it renders, and from the prices in \`test/components/idle-cost/prices.json\` (${prices.source}; list prices of ${prices.region}, dollars a month of ${String(prices.hoursAMonth)} hours). The test fails when this page is not what it would write, and when a stack has something that has no price there. After a change: \`npx vitest run test/components/idle-cost.test.ts -u\`.`,
    "Worker nodes are not in these tables: they are there while jobs run, and without work none is. The requests of an idle service are those that [scale](scale.md) tells, for its lanes.",
    summary(shapes),
    ...shapes.flatMap((shape) => [`## ${shape.title}`, shape.about, table(shape.lines)]),
    "## Paid by use",
    [...byUse, NAT_BY_USE].map((how) => `- ${how}`).join("\n"),
    "## Near zero",
    "The store is a component of its own: declare it in another stack than the cluster, and `pulumi destroy` the cluster's when it is not needed for weeks. Jobs, results and code stay readable in the bucket, jobs that were running wait there, and go on when the same APIs are there again.",
    "## What is not seen here",
    "What `@pulumi/eks` declares inside of its own provider (a role and its policies, which are free), data between zones (0.01 $/GB each way), and taxes. The control plane costs six times as much once standard support of its Kubernetes version has ended; the components ask for standard support alone, so that EKS upgrades it instead.",
  ].join("\n\n");
  return format(page, { parser: "markdown", printWidth: 120 });
}

function summary(shapes: readonly PricedShape[]): string {
  const rows = shapes.map(
    ({ title, lines }) => `| [${title}](#${anchorOf(title)}) | ${dollarsText(monthlyDollars(lines))} |`,
  );
  return ["| shape | $ a month |", "| --- | ---: |", ...rows].join("\n");
}

function table(lines: readonly CostLine[]): string {
  const rows = lines.map(({ what, count, eachDollars, dollars }) => {
    return `| ${what} | ${String(count)} | ${dollarsText(eachDollars)} | ${dollarsText(dollars)} |`;
  });
  const sum = `| **together** | | | **${dollarsText(monthlyDollars(lines))}** |`;
  return ["| always there | how many | each | $ a month |", "| --- | ---: | ---: | ---: |", ...rows, sum].join("\n");
}

function dollarsText(dollars: number): string {
  return dollars.toFixed(2);
}

function anchorOf(title: string): string {
  return title.toLowerCase().replaceAll(" ", "-");
}
