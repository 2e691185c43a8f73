/** 404 and 405 of addresses that no route answers. */
import { isReservedApiName } from "../../protocol/api-names.ts";
import { Problem } from "../../protocol/problems.ts";
import type { App } from "./door.ts";

/** Must be called before any route is registered: it notes which methods each address takes. */
export function answerUnknownAddresses(app: App): void {
  const routes: { readonly pattern: RegExp; readonly dynamic: boolean; readonly methods: readonly string[] }[] = [];
  app.addHook("onRoute", (route) => {
    const pattern = new RegExp(`^${route.url.replaceAll(".", "\\.").replaceAll(/:[a-z]+/gi, "[^/]+")}$`);
    routes.push({ pattern, dynamic: route.url.startsWith("/:"), methods: [route.method].flat() });
  });
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split("?", 1)[0] ?? "";
    const ours = isReservedApiName(path.split("/", 2)[1] ?? "");
    const methods = routes
      .filter((one) => one.pattern.test(path) && !(ours && one.dynamic))
      .flatMap((one) => one.methods);
    const allowed = [...new Set(methods)].sort();
    if (allowed.length === 0 || allowed.includes(request.method)) {
      throw new Problem("not_found", "Nothing is at this address; /openapi.json lists the addresses there are.");
    }
    void reply.header("allow", allowed.join(", "));
    throw new Problem("method_not_allowed", `This address takes ${allowed.join(", ")}, not ${request.method}.`);
  });
}
