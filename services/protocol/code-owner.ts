/** Who says what code an API runs: whoever deploys to its service, or the stack that declares it. Never both. */
export type CodeOwner =
  | { readonly kind: "deployed" }
  | {
      readonly kind: "pinned";
      /** The stack, as its people call it: `acme/batch/prod`. */
      readonly stack: string;
    };

/** As `MILLRACE_CODE` says it: `deployed`, or `pinned:<stack>`. */
export function codeOwnerText(owner: CodeOwner): string {
  return owner.kind === "deployed" ? owner.kind : `${owner.kind}:${owner.stack}`;
}

const STACK_CHARACTERS_MAX = 400;

/** Undefined: the text is neither of the two. */
export function parseCodeOwner(text: string): CodeOwner | undefined {
  if (text === "deployed") return { kind: "deployed" };
  const [, stack] = /^pinned:(\S+)$/.exec(text) ?? [];
  return stack === undefined || stack.length > STACK_CHARACTERS_MAX ? undefined : { kind: "pinned", stack };
}
