/** Property values as Pulumi's engine sends them: JSON in which some objects and texts have a meaning of their own. */

/** Marks an object that is no plain object (`sdk/proto/go`, "special signatures"). */
export const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";
const ASSET = "c44067f5952c0a294b673a41bacd8c17";
const ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7";
const RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e";
const OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4";

/** Stands for a value that a preview cannot know. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
/** What the engine sends for an unknown value, one for each type. */
const unknowns = new Set([
  UNKNOWN,
  "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
  "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
  "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
  "030794c1-ac77-496b-92df-f27374a8bd58",
  "e48ece36-62e2-4504-bad9-02848725956a",
  "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
]);

export type Value = null | boolean | number | string | readonly Value[] | Properties;
export interface Properties {
  readonly [key: string]: Value;
}

export function isProperties(value: Value | undefined): value is Properties {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isUnknown(value: Value | undefined): boolean {
  return typeof value === "string" && unknowns.has(value);
}

/** Whether a value or anything within it is unknown. */
export function hasUnknown(value: Value): boolean {
  if (Array.isArray(value)) return (value as readonly Value[]).some(hasUnknown);
  return isProperties(value) ? Object.values(value).some(hasUnknown) : isUnknown(value);
}

export function secret(value: Value): Properties {
  return { [SIGNATURE]: SECRET, value };
}

/** A reference to a resource, from which a program makes an object of its class. */
export function resourceReference(urn: string, id: string, packageVersion: string): Properties {
  return { [SIGNATURE]: RESOURCE, urn, id: id === "" ? UNKNOWN : id, packageVersion };
}

/**
 * The value without its wrapping: secrets in clear, unknown values as `UNKNOWN`, a resource as its id, a file as
 * `{sha256, path}`.
 */
export function plain(value: Value): Value {
  if (Array.isArray(value)) return (value as readonly Value[]).map(plain);
  if (isUnknown(value)) return UNKNOWN;
  if (!isProperties(value)) return value;
  switch (value[SIGNATURE]) {
    case SECRET:
      return plain(value["value"] ?? null);
    case OUTPUT:
      return "value" in value ? plain(value["value"] ?? null) : UNKNOWN;
    case ASSET:
    case ARCHIVE:
      return { sha256: value["hash"] ?? null, path: value["path"] ?? null, text: value["text"] ?? null };
    case RESOURCE:
      return value["id"] ?? value["urn"] ?? null;
    default:
      return plainProperties(value);
  }
}

export function plainProperties(properties: Properties): Properties {
  return Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, plain(value)]));
}

/** The value at a path of keys, such as `metadata.name`; undefined where there is none. */
export function valueAt(properties: Properties, path: string): Value | undefined {
  let value: Value | undefined = properties;
  for (const key of path.split(".")) value = isProperties(value) ? value[key] : undefined;
  return value;
}

/** The text at a path of keys, or that fallback: for names and such. */
export function textAt(properties: Properties, path: string, fallback = ""): string {
  const value = valueAt(properties, path);
  return typeof value === "string" ? value : fallback;
}

export type Difference = "add" | "delete" | "update";

/** What differs between two plain values, by paths as the engine writes them: `spec.ports[0].port`. */
export function differences(old: Properties, wanted: Properties): ReadonlyMap<string, Difference> {
  const found = new Map<string, Difference>();
  collect("", old, wanted, found);
  return found;
}

function collect(at: string, old: Value | undefined, wanted: Value | undefined, found: Map<string, Difference>): void {
  if (isProperties(old) && isProperties(wanted) && !("sha256" in old && "sha256" in wanted)) {
    for (const key of new Set([...Object.keys(old), ...Object.keys(wanted)])) {
      collect(at === "" ? key : `${at}.${key}`, old[key], wanted[key], found);
    }
  } else if (Array.isArray(old) && Array.isArray(wanted) && old.length === wanted.length) {
    const [before, after] = [old as readonly Value[], wanted as readonly Value[]];
    for (const [index, value] of before.entries()) collect(`${at}[${String(index)}]`, value, after[index], found);
  } else if (!isSame(old, wanted)) {
    found.set(at, old === undefined ? "add" : wanted === undefined ? "delete" : "update");
  }
}

/** Unknown values are like no other. A file is what its content is, wherever it lies. */
function isSame(one: Value | undefined, other: Value | undefined): boolean {
  if (isProperties(one) && isProperties(other)) return one["sha256"] === other["sha256"];
  return JSON.stringify(one) === JSON.stringify(other) && !(other !== undefined && hasUnknown(other));
}
