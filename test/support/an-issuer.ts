/** An OpenID Connect issuer on loopback: real keys, real HTTP. */
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, SignJWT } from "jose";

type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>;

export interface TokenOptions {
  /** Over those of a good token; undefined leaves one out. */
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly kid?: string;
  readonly key?: KeyPair;
}

/** Answers of one address in place of the usual one. */
type Answer = (response: ServerResponse) => void;

export const AUDIENCE = "millrace";

export class Issuer {
  /** Paths that were asked for. */
  readonly asked: string[] = [];
  /** By path. */
  readonly answers = new Map<string, Answer>();
  readonly #server: Server;
  readonly #keys = new Map<string, KeyPair>();

  private constructor() {
    this.#server = createServer((request, response) => {
      const path = request.url ?? "";
      this.asked.push(path);
      const answer = this.answers.get(path);
      if (answer !== undefined) answer(response);
      else void this.#answer(path, response);
    });
  }

  /** Listens on a free port, with a key `first`. */
  static async start(): Promise<Issuer> {
    const issuer = new Issuer();
    await issuer.addKey("first");
    await new Promise<void>((resolve) => issuer.#server.listen(0, "127.0.0.1", resolve));
    return issuer;
  }

  get url(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  get jwksUrl(): string {
    return `${this.url}/keys`;
  }

  async addKey(kid: string): Promise<KeyPair> {
    const pair = await generateKeyPair("ES256", { extractable: true });
    this.#keys.set(kid, pair);
    return pair;
  }

  removeKey(kid: string): void {
    this.#keys.delete(kid);
  }

  keyOf(kid: string): KeyPair {
    const pair = this.#keys.get(kid);
    if (pair === undefined) throw new Error(`no key ${kid}`);
    return pair;
  }

  /** A token that counts for five minutes, unless it is told otherwise. */
  token({ claims = {}, kid = "first", key = this.keyOf(kid) }: TokenOptions = {}): Promise<string> {
    const now = Math.trunc(Date.now() / 1000);
    const whole = { iss: this.url, aud: AUDIENCE, sub: "ann", exp: now + 300, scope: "openid millrace:submit" };
    return new SignJWT({ ...whole, ...claims }).setProtectedHeader({ alg: "ES256", kid }).sign(key.privateKey);
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #answer(path: string, response: ServerResponse): Promise<void> {
    if (path === "/.well-known/openid-configuration") {
      response.end(JSON.stringify({ issuer: this.url, jwks_uri: this.jwksUrl }));
    } else if (path === "/keys") {
      const keys = [...this.#keys].map(async ([kid, { publicKey }]) => ({
        ...(await exportJWK(publicKey)),
        ...{ kid, alg: "ES256", use: "sig" },
      }));
      response.end(JSON.stringify({ keys: await Promise.all(keys) }));
    } else response.writeHead(404).end();
  }
}
