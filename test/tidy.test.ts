import { readdirSync, readFileSync } from "node:fs";
import { basename, extname, join, relative } from "node:path";
import ignore from "ignore";
import { describe, expect, it } from "vitest";
import { functionsOf, namesOf } from "./support/source-reader.ts";

const root = join(import.meta.dirname, "..");
const fileLinesMax = 300;
const functionLinesMax = 70;
const codeEndings = [".ts", ".mjs", ".js", ".py"];
/** Folders and files are split by step in the flow, never by kind. */
const kindNames = ["utils", "util", "helpers", "helper", "common", "core", "misc", "types"];
const bareNames = ["data", "info", "task", "manager", "util", "base"];

const ignored = ignore()
  .add(readFileSync(join(root, ".gitignore"), "utf8"))
  .add([".git/", "package-lock.json"]);
const files = filesUnder(root);
const code = files.filter((path) => codeEndings.includes(extname(path)));

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = relative(root, join(folder, entry.name));
    if (ignored.ignores(entry.isDirectory() ? `${path}/` : path)) return [];
    if (entry.isDirectory()) return filesUnder(join(root, path));
    return entry.isFile() ? [path] : [];
  });
}

function textOf(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

function lineCount(text: string): number {
  return text.trimEnd().split("\n").length;
}

/** `path:line` of each line that the pattern finds. */
function found(paths: readonly string[], pattern: RegExp): string[] {
  return paths.flatMap((path) =>
    textOf(path)
      .split("\n")
      .flatMap((line, at) => (pattern.test(line) ? [`${path}:${String(at + 1)}: ${line.trim().slice(0, 100)}`] : [])),
  );
}

describe("the tree", () => {
  it("holds the files that the other sentences are about", () => {
    expect(code).toContain("test/tidy.test.ts");
    expect(files.some((path) => path.startsWith("node_modules/"))).toBe(false);
  });

  it(`has no code file of more than ${String(fileLinesMax)} lines`, () => {
    const long = code
      .map((path) => ({ path, lines: lineCount(textOf(path)) }))
      .filter(({ lines }) => lines > fileLinesMax);

    expect(long).toEqual([]);
  });

  it(`has no function of more than ${String(functionLinesMax)} lines`, () => {
    const long = code.flatMap((path) =>
      functionsOf(path, textOf(path))
        .filter(({ lines }) => lines > functionLinesMax)
        .map(({ name, line, lines }) => `${path}:${String(line)} ${name} has ${String(lines)} lines`),
    );

    expect(long).toEqual([]);
  });

  it("names no folder and no file by kind", () => {
    const stems = (path: string): string[] => path.split("/").map((part) => part.split(".")[0] ?? part);

    expect(files.filter((path) => stems(path).some((stem) => kindNames.includes(stem)))).toEqual([]);
  });

  it("gives nothing in the services and the CLI a bare name that says nothing", () => {
    const ours = code.filter((path) => /^(services|cli)\/.*\.ts$/.test(path));
    const bare = ours.flatMap((path) =>
      namesOf(path, textOf(path))
        .filter(({ name }) => bareNames.includes(name.toLowerCase()))
        .map(({ name, line }) => `${path}:${String(line)} ${name}`),
    );

    expect(bare).toEqual([]);
  });

  it("knows no machine: no path of one person's disk, no package host", () => {
    const readable = files.filter((path) => !/\.(png|gif|ico|wasm|gz|zip|onnx)$/.test(path));
    const diskPath = /(^|[\s"'`(=:])\/(root|work|home\/[a-z]\w*)(\/|["'`\s)]|$)/;
    const packageHost = /\b(registry\.npmjs|pypi|files\.pythonhosted|unpkg|cdn\.jsdelivr)\.(org|com|net)\b/;

    expect(found(readable, diskPath)).toEqual([]);
    expect(found(readable, packageHost)).toEqual([]);
    expect(found(readable, /\.\.\/shared\//)).toEqual([]);
  });

  it("runs no test alone and leaves none out for ever", () => {
    const tests = files.filter((path) => basename(path).endsWith(".test.ts"));

    expect(found(tests, /\b(describe|it|test)\.(only|skip|todo)\(/)).toEqual([]);
  });
});
