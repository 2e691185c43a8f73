/** An index of packages on this machine (PEP 503) that knows who asked for what, and may keep who asks waiting. */
import { readFile } from "node:fs/promises";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, join } from "node:path";
import { buildWheel } from "../../support/python-wheel.ts";

export class PackageIndex {
  readonly #folder: string;
  readonly #server: Server;
  readonly #wheels: string[] = [];
  #gate: { readonly opened: Promise<void>; readonly open: () => void } | undefined;
  #heard: (() => void) | undefined;
  /** Path of each request. */
  readonly requests: string[] = [];

  private constructor(folder: string) {
    this.#folder = folder;
    this.#server = createServer((request, response) => {
      void this.#answer(request.url ?? "", response);
    });
  }

  /** Wheels are laid into the folder. */
  static async start(folder: string): Promise<PackageIndex> {
    const index = new PackageIndex(folder);
    await new Promise<void>((resolve) => index.#server.listen(0, "127.0.0.1", resolve));
    return index;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${String(port)}/simple/`;
  }

  async add(name: string, version: string, source: string): Promise<void> {
    await buildWheel(this.#folder, name, version, source);
    this.#wheels.push(`${name}-${version}-py3-none-any.whl`);
  }

  /** From now on nobody is answered until `release`; resolves when the first one asks. */
  hold(): Promise<void> {
    let open: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    this.#gate = { opened, open };
    return new Promise((resolve) => {
      this.#heard = resolve;
    });
  }

  release(): void {
    this.#gate?.open();
    this.#gate = undefined;
  }

  async stop(): Promise<void> {
    this.release();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(path: string, response: ServerResponse): Promise<void> {
    this.requests.push(path);
    this.#heard?.();
    await this.#gate?.opened;
    const [, place, name = ""] = path.split("/");
    const file = this.#wheels.find((wheel) => wheel === basename(path));
    if (place === "files" && file !== undefined) {
      response.end(await readFile(join(this.#folder, file)));
      return;
    }
    const found = this.#wheels.filter((wheel) => wheel.startsWith(`${name}-`));
    response.writeHead(found.length === 0 ? 404 : 200, { "content-type": "text/html" });
    response.end(found.map((wheel) => `<a href="/files/${wheel}">${wheel}</a>`).join("\n"));
  }
}
