import { describe, expect, it } from "vitest";
import { EnvironmentFailed } from "../../services/backends/environments.ts";
import { lastWords } from "../../services/worker/build-environment.ts";
import { inheritedEnvironment } from "../../services/worker/inherited-environment.ts";

describe("a builder's last words", () => {
  it("are the sentence, then the end of what the installer said", () => {
    expect(lastWords(new EnvironmentFailed("it failed", "one\ntwo"))).toBe("it failed\none\ntwo");
  });

  it.each(["x", "é", "語"])("fit what Kubernetes keeps, whatever they are written in: %s", (letter) => {
    const words = lastWords(new EnvironmentFailed(letter.repeat(5_000), `${letter.repeat(5_000)}!`));

    expect(Buffer.byteLength(words)).toBeLessThanOrEqual(4_096);
    expect(Buffer.byteLength(words)).toBeGreaterThan(4_080);
    expect(words).toMatch(new RegExp(`^${letter}+\\n${letter}+!$`));
  });
});

it("programs of the user inherit nothing of ours", () => {
  const environment = {
    PATH: "/bin",
    PIP_INDEX_URL: "u",
    MILLRACE_STORE: "s3://b",
    NODE_OPTIONS: "--x",
    GONE: undefined,
  };

  expect(inheritedEnvironment(environment)).toEqual({ PATH: "/bin", PIP_INDEX_URL: "u" });
});
