import { describe, expect, it } from "vitest";

import { PipOutput, maskCredentials } from "../../services/backends/pip-output.ts";

function heard(lines: readonly string[]): { readonly output: PipOutput; readonly said: string[] } {
  const said: string[] = [];
  const output = new PipOutput((sentence) => said.push(sentence));
  for (const line of lines) output.hear(line);
  return { output, said };
}

describe("PipOutput", () => {
  it("tells what is downloaded and installed, with versions", () => {
    const { output, said } = heard([
      "Collecting magika==1.0.3 (from -r requirements.txt (line 1))",
      "  Downloading magika-1.0.3-py3-none-any.whl.metadata (15 kB)",
      "Downloading magika-1.0.3-py3-none-any.whl (3.0 MB)",
      "Using cached numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl (16.9 MB)",
      "  Downloading old_style-0.9.tar.gz (10 kB)",
      "Installing collected packages: numpy, old-style, magika",
    ]);

    expect(said).toEqual([
      "downloading magika 1.0.3 (3.0 MB)",
      "downloading old-style 0.9 (10 kB)",
      "installing 3 packages: magika 1.0.3, old-style 0.9, numpy 2.4.6",
    ]);
    expect(output.packages).toBe(3);
  });

  it.each([
    [
      "ERROR: Could not find a version that satisfies the requirement numpy==99 (from versions: 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6)",
      "requirements.txt: found numpy==99, which does not exist for Python 3.11.7; there are 1.2, 1.3, 1.4, 1.5, 1.6 and 2 older ones.",
    ],
    [
      "ERROR: Could not find a version that satisfies the requirement nunpy (from versions: none)",
      "requirements.txt: found nunpy, which the package index does not have for Python 3.11.7; check its name.",
    ],
    [
      "ERROR: Invalid requirement: 'numpy=1' (from line 3 of requirements.txt)",
      "requirements.txt: found 'numpy=1', which is no requirement; write name==version.",
    ],
    [
      "ERROR: Could not open requirements file: [Errno 2] No such file or directory: 'more.txt'",
      "requirements.txt: it names more.txt, which is not among the project's files.",
    ],
    [
      "ERROR: Cannot install a==1 and b==2 because these package versions have conflicting dependencies.",
      "requirements.txt: a==1 and b==2 exclude each other; loosen one of their versions.",
    ],
    [
      "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
      "requirements.txt: the disk is full; free some space and deploy again.",
    ],
    ["ERROR: something else", "requirements.txt: pip could not install it; its last lines say why."],
  ])("finds the cause in %j", (line, sentence) => {
    expect(heard(["Collecting x", line]).output.cause("requirements.txt", "3.11.7")).toBe(sentence);
  });

  it("tells an index that does not answer from a requirement that does not exist", () => {
    const { output } = heard([
      "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError'",
      "ERROR: Could not find a version that satisfies the requirement numpy (from versions: none)",
    ]);

    expect(output.cause("requirements.txt", "3.11.7")).toBe(
      "requirements.txt: the package index did not answer for numpy; check the network, a proxy, or pip's index-url.",
    );
  });

  it("masks credentials wherever they stand", () => {
    expect(maskCredentials("Looking in indexes: https://me:secret@index.example/simple, git+ssh://token@x/y")).toBe(
      "Looking in indexes: https://****@index.example/simple, git+ssh://****@x/y",
    );
    expect(heard(["Looking in indexes: https://me:secret@index.example"]).output.tail()).not.toContain("secret");
  });
});
