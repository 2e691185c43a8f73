/** What the recording provider tells the engine about a change of inputs. */
import Provider from "@pulumi/pulumi/proto/provider_pb.js";
import { factsOf, keepsName, replaces } from "./pulumi-resource-facts.ts";
import { differences, plainProperties, type Difference, type Properties } from "./pulumi-values.ts";

const { Kind } = Provider.PropertyDiff;
const KINDS = {
  add: { update: Kind.ADD, replace: Kind.ADD_REPLACE },
  delete: { update: Kind.DELETE, replace: Kind.DELETE_REPLACE },
  update: { update: Kind.UPDATE, replace: Kind.UPDATE_REPLACE },
} as const satisfies Record<Difference, object>;

/**
 * @param ignored top-level inputs and paths whose changes do not count
 * @throws {Error} for a type that the recording provider does not know
 */
export function diffOf(
  type: string,
  before: Properties,
  wanted: Properties,
  ignored: readonly string[],
): Provider.DiffResponse {
  const facts = factsOf(type);
  if (facts === undefined) throw new Error(`the recording provider knows no ${type}`);
  const [old, asked] = [plainProperties(before), plainProperties(wanted)];
  const found = [...differences(old, asked)].filter(
    ([path]) => !path.startsWith("__defaults") && !ignored.some((one) => path === one || path.startsWith(`${one}.`)),
  );
  const { DIFF_NONE, DIFF_SOME } = Provider.DiffResponse.DiffChanges;
  const answer = new Provider.DiffResponse()
    .setHasdetaileddiff(true)
    .setChanges(found.length === 0 ? DIFF_NONE : DIFF_SOME)
    .setDiffsList([...new Set(found.map(([path]) => topOf(path)))]);
  const replacing = found.filter(([path]) => replaces(facts, path));
  answer.setReplacesList([...new Set(replacing.map(([path]) => topOf(path)))]);
  answer.setDeletebeforereplace(replacing.length > 0 && keepsName(type, facts, old, asked));
  for (const [path, difference] of found) {
    const kind = KINDS[difference][replaces(facts, path) ? "replace" : "update"];
    answer.getDetaileddiffMap().set(path, new Provider.PropertyDiff().setKind(kind).setInputdiff(true));
  }
  return answer;
}

function topOf(path: string): string {
  return /^[^.[]*/.exec(path)?.[0] ?? path;
}
