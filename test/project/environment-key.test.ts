import { describe, expect, it } from "vitest";

import { environmentKey } from "../../services/project/environment-key.ts";
import { SPEC_DEFAULTS } from "../../services/protocol/api-spec.parse.ts";
import { aProject } from "../support/project-folder.ts";

const PYTHON = { executable: "/usr/bin/python3", version: "3.11.7", base: "cpython-311 linux-x86_64 /usr" };

function keyOf(texts: Readonly<Record<string, string>>, python = PYTHON): string | null {
  return environmentKey(aProject(texts), SPEC_DEFAULTS.dependencies, python);
}

const NESTED = {
  "requirements.txt": "-r more.txt\n./vendored\n-c limits/all.txt\n",
  "more.txt": "numpy\n",
  "limits/all.txt": "-r deep.txt\n",
  "limits/deep.txt": "numpy<3\n",
  "vendored/setup.py": "1",
  "handler.py": "1",
};

describe("environmentKey", () => {
  it("is null without requirements, and stays when only code changes", () => {
    expect(keyOf({ "handler.py": "", "requirements.txt": " # none\n" })).toBeNull();
    expect(keyOf({ ...NESTED, "handler.py": "2" })).toBe(keyOf(NESTED));
  });

  it.each(["requirements.txt", "more.txt", "limits/all.txt", "limits/deep.txt", "vendored/setup.py"])(
    "changes with %s, however it is named",
    (path) => {
      expect(keyOf({ ...NESTED, [path]: `${NESTED["requirements.txt"]}# more\n` })).not.toBe(keyOf(NESTED));
    },
  );

  it("changes with everything when a script or a requirement installs the project itself", () => {
    for (const asking of [{ "requirements.txt": ".\n" }, { "dependencies.sh": "pip install .\n" }]) {
      expect(keyOf({ ...asking, "setup.py": "1" })).not.toBe(keyOf({ ...asking, "setup.py": "2" }));
    }
  });

  it("changes with the Python", () => {
    expect(keyOf(NESTED, { ...PYTHON, version: "3.12.1" })).not.toBe(keyOf(NESTED));
    expect(keyOf(NESTED, { ...PYTHON, base: "cpython-311 linux-aarch64 /usr" })).not.toBe(keyOf(NESTED));
  });
});
