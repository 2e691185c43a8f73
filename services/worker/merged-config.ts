type Config = Readonly<Record<string, unknown>>;

/** An API's config with a submission's merged over it: nested objects key by key, anything else replaced. */
export function mergedConfig(api: Config, submission: Config): Config {
  const merged = Object.assign(Object.create(null) as Record<string, unknown>, api);
  for (const [key, value] of Object.entries(submission)) {
    const under = merged[key];
    merged[key] = isObject(under) && isObject(value) ? mergedConfig(under, value) : value;
  }
  return merged;
}

function isObject(value: unknown): value is Config {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
