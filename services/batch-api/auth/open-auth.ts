/** From what the operator chose to what stands at the doors. */
import type { Clock } from "../../backends/clock.ts";
import type { JwtAuthConfig, NetworkAuthConfig } from "../../protocol/auth.ts";
import type { AllowedHosts } from "../routes/guards.ts";
import { type Authenticator, LOOPBACK_CALLERS } from "./admission.ts";
import { ApiKeyRing } from "./api-keys.ts";
import { KeyFile } from "./key-file.ts";
import { networkCallers } from "./networks.ts";
import { TokenReader } from "./tokens.ts";

/** As the service is told it: `AuthConfig`, with the file where there is one. */
export type ServiceAuth =
  | { readonly kind: "none" }
  /** Absolute path of the file with the keys' hashes. */
  | { readonly kind: "apiKeys"; readonly file: string }
  | JwtAuthConfig
  | NetworkAuthConfig;

export interface Auth {
  readonly authenticator: Authenticator;
  /** Address that the doors listen on. */
  readonly host: "127.0.0.1" | "0.0.0.0";
  readonly hosts: AllowedHosts;
  /** Keeps up with what changes, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export interface AuthDeps {
  readonly clock: Clock;
  readonly log: { warn(sentence: string): void; info(sentence: string): void };
}

const REACHABLE = { host: "0.0.0.0", hosts: { kind: "any" } } as const;

/** Throws `Misconfigured`. */
export async function openAuth(config: ServiceAuth, { clock, log }: AuthDeps): Promise<Auth> {
  const idle = () => Promise.resolve();
  switch (config.kind) {
    case "none":
      // Nobody but this machine's users reaches them, and no web page by another name of it.
      return { authenticator: LOOPBACK_CALLERS, host: "127.0.0.1", hosts: { kind: "loopback" }, run: idle };
    case "apiKeys": {
      const authenticator = new ApiKeyRing();
      const onKeys = authenticator.hold.bind(authenticator);
      const file = new KeyFile({ path: config.file, clock, log, onKeys });
      await file.open();
      return { ...REACHABLE, authenticator, run: (signal) => file.run(signal) };
    }
    case "jwt":
      return { ...REACHABLE, authenticator: new TokenReader(config, clock), run: idle };
    case "network":
      log.warn(
        `auth is by network: whoever reaches the doors from ${config.cidrs.join(", ")} is let in without a key, and behind ` +
          "a balancer everybody seems to be the balancer; its security group and the network policy must keep others out",
      );
      return { ...REACHABLE, authenticator: networkCallers(config), run: idle };
  }
}
