import { describe, expect, it } from "vitest";
import { apiVersion, encodeCurrent, encodeVersion, versionName } from "../../services/protocol/api-version.ts";
import { codeOwnerText, parseCodeOwner } from "../../services/protocol/code-owner.ts";
import { anApiSpec } from "../support/builders.ts";

const PARTS = { spec: anApiSpec({ config: { a: 1, b: 2 } }), project: "5".repeat(64), environment: null };

describe("versionName", () => {
  it("is another one whenever spec, code, environment or pods are", () => {
    const names = [
      versionName(PARTS),
      versionName({ ...PARTS, spec: anApiSpec({ workers: 9 }) }),
      versionName({ ...PARTS, project: "6".repeat(64) }),
      versionName({ ...PARTS, environment: "0" }),
      versionName({ ...PARTS, podTemplate: { spec: { containers: [] } } }),
    ];

    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[0-9a-f]{12}$/);
  });

  it("is the same in whatever order fields stand, and another when a list's order changes", () => {
    const pods = (...names: string[]) => ({ spec: { containers: names.map((name) => ({ name, image: "i" })) } });
    const turned = { spec: { containers: [{ image: "i", name: "worker" }] } };
    const name = versionName({ ...PARTS, podTemplate: pods("worker") });

    expect(versionName({ ...PARTS, podTemplate: turned })).toBe(name);
    expect(versionName({ ...PARTS, spec: { ...PARTS.spec, config: { b: 2, a: 1 } } })).toBe(versionName(PARTS));
    expect(versionName({ ...PARTS, podTemplate: pods("a", "worker") })).not.toBe(
      versionName({ ...PARTS, podTemplate: pods("worker", "a") }),
    );
  });
});

describe("the objects of a version", () => {
  it("are the same bytes whoever writes them, but for the time that a stack does not know", () => {
    const service = JSON.parse(encodeVersion(apiVersion(PARTS, 1_700_000_000_000))) as Record<string, unknown>;
    const stack = JSON.parse(encodeVersion(apiVersion(PARTS, null))) as Record<string, unknown>;

    expect({ ...service, created_at: null }).toEqual(stack);
    expect(Object.keys(service)).toEqual(Object.keys(stack));
    expect(stack).toMatchObject({ format: 1, api: "digits", version: versionName(PARTS), worker_format: 1 });
    expect(encodeCurrent({ version: "v1", generation: 0 })).toBe('{"version":"v1","generation":0}');
  });
});

describe("the owner of an API's code", () => {
  it("is told by a text that reads back, and anything else is none", () => {
    for (const owner of [{ kind: "deployed" }, { kind: "pinned", stack: "acme/batch/prod" }] as const) {
      expect(parseCodeOwner(codeOwnerText(owner))).toEqual(owner);
    }
    for (const text of ["", "pinned", "pinned:", "pinned:a b", "Deployed", `pinned:${"s".repeat(401)}`]) {
      expect(parseCodeOwner(text)).toBeUndefined();
    }
  });
});
