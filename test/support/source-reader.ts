import ts from "typescript";

/** A function of a source file: the line it begins on, and how many lines it takes. */
export interface SourceFunction {
  readonly name: string;
  readonly line: number;
  readonly lines: number;
}

/** A name that a source file declares. */
export interface SourceName {
  readonly name: string;
  readonly line: number;
}

/** The functions of a TypeScript, JavaScript or Python file. A list of tests is not counted as one. */
export function functionsOf(path: string, text: string): SourceFunction[] {
  return path.endsWith(".py") ? pythonFunctions(text) : typeScriptFunctions(path, text);
}

/** What a TypeScript file declares: variables, parameters, functions, classes, interfaces and types. */
export function namesOf(path: string, text: string): SourceName[] {
  const source = parse(path, text);
  const names: SourceName[] = [];
  visit(source, (node) => {
    const declares =
      ts.isVariableDeclaration(node) ||
      ts.isParameter(node) ||
      ts.isFunctionDeclaration(node) ||
      ts.isClassDeclaration(node) ||
      ts.isInterfaceDeclaration(node) ||
      ts.isTypeAliasDeclaration(node);
    if (declares && node.name !== undefined && ts.isIdentifier(node.name)) {
      names.push({ name: node.name.text, line: lineOf(source, node.getStart(source)) });
    }
  });
  return names;
}

function parse(path: string, text: string): ts.SourceFile {
  return ts.createSourceFile(path, text, ts.ScriptTarget.ES2024, true);
}

function visit(node: ts.Node, see: (node: ts.Node) => void): void {
  see(node);
  ts.forEachChild(node, (child) => {
    visit(child, see);
  });
}

function lineOf(source: ts.SourceFile, position: number): number {
  return source.getLineAndCharacterOfPosition(position).line + 1;
}

function typeScriptFunctions(path: string, text: string): SourceFunction[] {
  const source = parse(path, text);
  const functions: SourceFunction[] = [];
  visit(source, (node) => {
    if (!ts.isFunctionLike(node) || isListOfTests(node)) return;
    const line = lineOf(source, node.getStart(source));
    const name = node.name?.getText(source) ?? "a function without name";
    functions.push({ name, line, lines: lineOf(source, node.end) - line + 1 });
  });
  return functions;
}

/** What `describe` is given, and a contract suite that an implementation calls: each test in it is a function of its own. */
function isListOfTests(node: ts.SignatureDeclaration): boolean {
  if (!("body" in node) || node.body === undefined || !ts.isBlock(node.body)) return false;
  return node.body.statements.some(
    (statement) =>
      ts.isExpressionStatement(statement) &&
      ts.isCallExpression(statement.expression) &&
      /^(describe|it)\b/.test(statement.expression.expression.getText()),
  );
}

/** By indentation: a function ends before the next line that is indented no deeper than its `def`, blank lines left out. */
function pythonFunctions(text: string): SourceFunction[] {
  const lines = text.split("\n");
  return lines.flatMap((head, at) => {
    const [, indent, name] = /^(\s*)(?:async )?def (\w+)/.exec(head) ?? [];
    if (indent === undefined || name === undefined) return [];
    const bodyStart = lines.findIndex((line, index) => index >= at && line.trimEnd().endsWith(":")) + 1;
    const ends = lines.findIndex(
      (line, index) => index >= bodyStart && line.trim() !== "" && !line.startsWith(`${indent} `),
    );
    const whole = lines
      .slice(at, ends === -1 ? undefined : ends)
      .join("\n")
      .trimEnd();
    return [{ name, line: at + 1, lines: whole.split("\n").length }];
  });
}
