import { expect, it } from "vitest";
import { apiRights } from "../../components/api-rights.ts";
import type { Statement } from "../../components/statements.ts";
import { tableUnder, wordsOf } from "../support/operations-page.ts";
import { ROLES } from "./support/recorded-calls.ts";

interface PlainStatement {
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
  readonly Condition?: { readonly StringLike: Readonly<Record<string, string | readonly string[]>> };
}

/** One line for each action on each resource. */
function linesOf(who: string, actions: readonly string[], resources: readonly string[], condition: readonly string[]) {
  return resources.flatMap((resource) => actions.map((action) => [who, action, resource, ...condition].join(" ")));
}

function declared(who: string, statement: Statement): readonly string[] {
  const { Action, Resource, Condition } = statement as unknown as PlainStatement;
  const condition = Object.entries(Condition?.StringLike ?? {}).flatMap(([key, values]) => [key, values].flat());
  return linesOf(who, Action, Resource, condition);
}

function shown([who = "", actions, where]: readonly string[]): readonly string[] {
  const [resource = "", condition] = (where ?? "").split(/[:;] |, condition /);
  const conditions = (where ?? "").includes("condition") ? wordsOf(condition) : [];
  return who.split(",").flatMap((each) => linesOf(each.trim(), wordsOf(actions), wordsOf(resource), conditions));
}

it("docs/operations.md shows the rights on AWS as components declare them", () => {
  const dataset = [{ bucket: "<bucket>", prefix: "<prefix>" }];
  const rights = apiRights({
    ...{ api: "<api>", store: { bucketArn: "arn:aws:s3:::<store>", kmsKeyArn: "<store key>" }, partition: "aws" },
    ...{ laneArns: ["<lane>"], laneKeyArn: "<lane key>", deadLetterQueueArns: ["<dead-letter queue>"] },
    ...{ logGroupArn: "<log group>", reads: dataset, writes: dataset, datasetKeyArns: ["<dataset key>"] },
  });

  const table = tableUnder("Rights on AWS").flatMap(shown);
  const statements = ROLES.flatMap((role) => rights[role].flatMap((statement) => declared(role, statement)));
  expect(table.length).toBeGreaterThan(30);
  expect(table.toSorted()).toEqual(statements.toSorted());
});
