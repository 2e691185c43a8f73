import { describe, expect, it } from "vitest";
import { apiKeyHash, apiKeyOf, encodeApiKeyLine, parseApiKeys } from "../../services/protocol/api-keys.ts";
import { LIMITS } from "../../services/protocol/limits.ts";
import { faultSentence } from "../../services/protocol/problems.ts";

const KEY = apiKeyOf("ab".repeat(32));
const CI = { name: "ci", sha256: apiKeyHash(KEY), scopes: ["submit"] } as const;

function faultsOf(...lines: readonly unknown[]): readonly string[] {
  const text = lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n");
  return parseApiKeys(text).faults.map(faultSentence);
}

describe("parseApiKeys", () => {
  it("reads lines as they are written, several of one name, and passes over empty ones", () => {
    const next = { ...CI, sha256: apiKeyHash("another"), scopes: ["read", "admin"] } as const;
    const text = `${encodeApiKeyLine(CI)}\r\n\n  \n${encodeApiKeyLine(next)}\n`;

    expect(parseApiKeys(text)).toEqual({ keys: [CI, next], faults: [] });
    expect(parseApiKeys("")).toEqual({ keys: [], faults: [] });
  });

  it.each<[unknown, RegExp]>([
    ["ci: abc", /^line 2: found text that is no JSON; write the line that `millrace api-key NAME` prints\.$/],
    [[CI], /^line 2: found a list; /],
    [{ ...CI, name: "a b" }, /^line 2\.name: found characters or a length that no name has; /],
    [{ ...CI, name: "" }, /^line 2\.name: found an empty text; /],
    [{ ...CI, sha256: CI.sha256.toUpperCase() }, /^line 2\.sha256: found a text that is no SHA-256; /],
    [{ ...CI, scopes: [] }, /^line 2\.scopes: found an empty list; /],
    [
      { ...CI, scopes: ["write"] },
      /^line 2\.scopes: found a word that is no scope; write some of read, submit, admin\.$/,
    ],
    [{ ...CI, scopes: "submit" }, /^line 2\.scopes: found a text; /],
    [{ ...CI, scope: "read" }, /^line 2\.scope: found a field that is not known; name it "scopes" or remove it\.$/],
    [CI, /^line 2: found the key of line 1 again; remove one of the two\.$/],
  ])("refuses %j", (line, fault) => {
    expect(faultsOf(CI, line)).toEqual([expect.stringMatching(fault)]);
  });

  it("never quotes what stands there: it may be a key", () => {
    const said = faultsOf(KEY, { ...CI, sha256: KEY }, { ...CI, name: `${KEY} ` }, { ...CI, scopes: [KEY] }).join(" ");

    expect(said).toMatch(/line 1.*line 2.*line 3.*line 4/);
    expect(said).not.toContain(KEY.slice(0, 20));
  });

  it("takes as many keys as it says, and no more", () => {
    const lines = (count: number) =>
      Array.from({ length: count }, (_, at) => ({ ...CI, sha256: apiKeyHash(String(at)) }));

    expect(faultsOf(...lines(LIMITS.apiKeysMax))).toEqual([]);
    expect(faultsOf(...lines(LIMITS.apiKeysMax + 1))).toEqual(["the file: found 1001 keys; keep at most 1000."]);
  });
});
