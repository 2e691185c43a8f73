import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { buildProgram } from "../../cli/program.ts";
import { CliUser } from "../support/a-cli.ts";
import { CONNECT_RULES } from "../cloud/support/connect-rules.ts";
import { wordsOf } from "../support/operations-page.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/connect.md"), "utf8");

function rowsAfter(head: string): readonly (readonly string[])[] {
  const [, table = ""] = page.split(new RegExp(`\\n\\| ${head} .*\\n`));
  const lines = table.split("\n\n")[0]?.split("\n").slice(1) ?? [];
  return lines.map((row) => row.split("|").slice(1, -1));
}

it("shows the rights that connect runs with on a real cluster", () => {
  const shown = rowsAfter("API group").map((row) => {
    const [group, resources, verbs] = row.map(wordsOf);
    return { apiGroups: group?.length === 0 ? [""] : group, resources, verbs };
  });

  expect(shown).toEqual(CONNECT_RULES);
});

it("names every option of connect", async () => {
  const user = await CliUser.create();
  await user.remove();
  const connect = buildProgram(user.cli(), () => undefined).commands.find((command) => command.name() === "connect");

  const options = connect?.options.map(({ long }) => long).filter((long) => long !== "--output");

  expect(rowsAfter("option").map(([cell]) => wordsOf(cell)[0]?.split(" ")[0])).toEqual(options);
});
