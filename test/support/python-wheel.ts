/** Makes a wheel of one module, so that tests install something without any network. */
import { mkdir } from "node:fs/promises";

import { runCommand } from "../../services/backends/command-lines.ts";

/** A wheel is a zip with a METADATA, a WHEEL and a RECORD file (PEP 427). */
const PROGRAM = `
import sys, zipfile
folder, name, version, source = sys.argv[1:]
dist = f"{name}-{version}.dist-info"
with zipfile.ZipFile(f"{folder}/{name}-{version}-py3-none-any.whl", "w") as wheel:
    wheel.writestr(f"{name}.py", source)
    wheel.writestr(f"{dist}/METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
    wheel.writestr(f"{dist}/WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr(f"{dist}/RECORD", f"{name}.py,,\\n{dist}/METADATA,,\\n{dist}/WHEEL,,\\n{dist}/RECORD,,\\n")
`;

export async function buildWheel(folder: string, name: string, version: string, source: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const args = ["-c", PROGRAM, folder, name, version, source];
  const lines: string[] = [];
  const signal = new AbortController().signal;
  const end = await runCommand(
    { file: "python3", args, cwd: folder, env: process.env },
    (line) => lines.push(line),
    signal,
  );
  if (end.exitCode !== 0) throw new Error(lines.join("\n"));
}
