/** Tags that every resource of a component carries, so that a bill or a sweep can be read by component. */
import type { Input } from "@pulumi/pulumi";

/** A user's own tags, by key. */
export type Tags = Readonly<Record<string, Input<string>>>;

/** @param component class, as in `BatchStore`; @param name the component's own; the user's tags win. */
export function ownTags(component: string, name: string, tags: Tags = {}): Record<string, Input<string>> {
  return { "millrace:component": component, "millrace:name": name, ...tags };
}
