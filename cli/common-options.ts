/** Options that every command has. */
import type { Where } from "./connection.ts";

export interface CommonOptions extends Where {
  readonly output?: "json";
}
