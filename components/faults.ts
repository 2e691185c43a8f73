/** Faults of a component's arguments: gathered from plain values, told all at once, before anything is declared. */
import * as pulumi from "@pulumi/pulumi";
import { nearestWord } from "../services/protocol/nearest-word.ts";

/**
 * Gathers what is wrong with a component's arguments.
 *
 *     const faults = new Faults('GpuNodeGroup "gpus"');
 *     if (args.nodesMax < 1) faults.add("nodesMax", `is ${String(args.nodesMax)}; write how many nodes there may be, 1 or more`);
 *     faults.throwIfAny();
 */
export class Faults {
  readonly #found: { readonly propertyPath: string; readonly reason: string }[] = [];
  readonly #component: string;

  /** @param component class and name, as a message begins: `BatchApi "image-classifier"` */
  constructor(component: string) {
    this.#component = component;
  }

  /** @param propertyPath as the user wrote it: `runsOn[0]`, `ingress.certificateArn` */
  add(propertyPath: string, reason: string): void {
    this.#found.push({ propertyPath, reason });
  }

  /** An integer within a range; what is not given is nobody's fault. */
  integer(
    propertyPath: string,
    value: number | undefined,
    { min, max }: { readonly min: number; readonly max: number },
  ) {
    if (value === undefined || (Number.isInteger(value) && value >= min && value <= max)) return;
    const range = `${String(min)} to ${max.toLocaleString("en")}`;
    this.add(propertyPath, `is ${String(value)}; write a whole number from ${range}`);
  }

  /** Names that no argument has, as a program in JavaScript may write them; the nearest that there is is told. */
  onlyKnown(propertyPath: string, args: object, known: readonly string[]): void {
    for (const key of Object.keys(args).filter((each) => !known.includes(each))) {
      const nearest = nearestWord(key, known);
      const fix = nearest === undefined ? `write some of ${known.join(", ")}` : `write ${nearest}`;
      this.add(propertyPath === "" ? key : `${propertyPath}.${key}`, `is no argument of it; ${fix}`);
    }
  }

  /** Throws `InputPropertyError` for one fault, `InputPropertiesError` for several. The engine prints the sentences alone. */
  throwIfAny(): void {
    const [first, ...others] = this.#found;
    if (first === undefined) return;
    const told = ({ propertyPath, reason }: { propertyPath: string; reason: string }) => ({
      propertyPath,
      reason: `${this.#component}: ${propertyPath} ${reason}`,
    });
    if (others.length === 0) throw withoutStack(new pulumi.InputPropertyError(told(first)));
    const errors = this.#found.map(told);
    const message = errors.map(({ reason }) => reason).join("\n");
    throw withoutStack(new pulumi.InputPropertiesError({ message, errors }));
  }
}

/**
 * What a program throws is printed as "unhandled exception" with its stack, unless it is a `RunError` by this mark; errors about
 * properties are printed well for providers alone (SDK 3.270, cmd/run/run.js). To be removed when they are for programs too.
 */
function withoutStack<E extends Error>(error: E): E {
  return Object.assign(error, { __pulumiRunError: true });
}
