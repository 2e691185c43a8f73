/** What programs of the tests that people start by hand have in common: numbers among their options, and one sentence when one is wrong. */

/** A number greater than 0. Throws a sentence that names the option. */
export function numberOf(option: string, text: string): number {
  if (/^\d+(\.\d+)?$/.test(text) && Number(text) > 0) return Number(text);
  throw new Error(`${option} is no number greater than 0; give one, such as ${option} 5`);
}

/** A whole number from 1 on. Throws a sentence that names the option. */
export function wholeOf(option: string, text: string): number {
  const number = numberOf(option, text);
  if (Number.isSafeInteger(number)) return number;
  throw new Error(`${option} is no whole number; give one, such as ${option} 5`);
}

/** Runs it; what it throws is told without a stack. `more`: where more is said. */
export async function runProgram(more: string, run: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await run();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n(${more})\n`);
    process.exitCode = 1;
  }
}
