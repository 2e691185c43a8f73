/** How long a policy gets, told before anything is declared: IAM would refuse one that is too long in the middle of an update. */
import * as pulumi from "@pulumi/pulumi";
import type { Statement } from "./statements.ts";

/** IAM's limit for all inline policies of a role together, white space not counted ("IAM and AWS STS quotas"). */
export const POLICY_CHARACTERS_MAX = 10_240;

export function policyDocument(statements: readonly Statement[]) {
  return { Version: "2012-10-17", Statement: [...statements] };
}

/**
 * Characters of a policy.
 *
 * @param unknownCharacters what a value counts for that is known later
 */
export function policyCharacters(statements: readonly Statement[], unknownCharacters: number): number {
  return JSON.stringify(withStandIns(policyDocument(statements), "x".repeat(unknownCharacters))).length;
}

function withStandIns(value: unknown, standIn: string): unknown {
  if (pulumi.Output.isInstance(value) || value instanceof Promise) return standIn;
  if (Array.isArray(value)) return value.map((each) => withStandIns(each, standIn));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withStandIns(each, standIn)]));
}
