/** In which order an engine would make what a program declared. */
import type { DeclaredResource, RenderedStack } from "./render.ts";

/** Names of what is made before a resource: what it depends on, and what that depends on. */
export function namesBefore(
  stack: RenderedStack,
  resource: DeclaredResource,
  seen = new Set<string>(),
): ReadonlySet<string> {
  for (const urn of resource.dependsOn) {
    const found = stack.resources.find((each) => each.urn === urn);
    if (found === undefined || seen.has(found.name)) continue;
    seen.add(found.name);
    namesBefore(stack, found, seen);
  }
  return seen;
}
