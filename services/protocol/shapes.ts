/** Shapes of stored JSON: what its readers rely on, and no more, so that a later writer may add fields. */

/** Answers what is wrong, in words that quote no value, or undefined. `at` names the place in the object. */
export type Shape = (value: unknown, at: string) => string | undefined;

export const text: Shape = (value, at) => (typeof value === "string" ? undefined : `${at} is no text`);

export const flag: Shape = (value, at) => (typeof value === "boolean" ? undefined : `${at} is neither true nor false`);

export const anything: Shape = (value, at) => (value === undefined ? `${at} is missing` : undefined);

export const number: Shape = (value, at) => {
  return typeof value === "number" && Number.isFinite(value) ? undefined : `${at} is no number`;
};

/** A whole number from `least` on. */
export function whole(least = 0): Shape {
  return (value, at) => {
    return Number.isSafeInteger(value) && (value as number) >= least
      ? undefined
      : `${at} is no whole number from ${String(least)} on`;
  };
}

export const count = whole();

export function oneOf(words: readonly string[]): Shape {
  return (value, at) => (words.includes(value as string) ? undefined : `${at} is none of ${words.join(", ")}`);
}

export function nullOr(shape: Shape): Shape {
  return (value, at) => (value === null ? undefined : shape(value, at));
}

export function optional(shape: Shape): Shape {
  return (value, at) => (value === undefined ? undefined : shape(value, at));
}

export function listOf(shape: Shape): Shape {
  return (value, at) => {
    if (!Array.isArray(value)) return `${at} is no list`;
    // by far most are right: the place of each is put into words only when it is not
    const wrong = value.findIndex((element) => shape(element, "") !== undefined);
    return wrong < 0 ? undefined : shape(value[wrong], `${at}[${String(wrong)}]`);
  };
}

/** An object whose keys are anybody's. */
export function mapOf(shape: Shape): Shape {
  return (value, at) => {
    if (!isObject(value)) return `${at} is no object`;
    for (const element of Object.values(value)) {
      const wrong = shape(element, `a value of ${at}`);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  };
}

export function fields(shapes: Readonly<Record<string, Shape>>): Shape {
  const named = Object.entries(shapes);
  return (value, at) => {
    if (!isObject(value)) return `${at === "" ? "it" : at} is no object`;
    for (const [name, shape] of named) {
      if (shape(value[name], name) !== undefined) return shape(value[name], at === "" ? name : `${at}.${name}`);
    }
    return undefined;
  };
}

/** Both must hold: what all variants have, then what this one has. */
export function both(first: Shape, second: Shape): Shape {
  return (value, at) => first(value, at) ?? second(value, at);
}

/** By the word in one field: the fields that go with it; a word that is not named asks for nothing more. */
export function byWord(name: string, variants: Readonly<Record<string, Shape>>): Shape {
  return (value, at) => {
    const word = (value as Readonly<Record<string, unknown>>)[name];
    return typeof word === "string" && Object.hasOwn(variants, word) ? variants[word]?.(value, at) : undefined;
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
