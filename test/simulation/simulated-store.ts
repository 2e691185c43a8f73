import type { MemoryStore } from "../../services/backends/object-store.memory.ts";
import type {
  ByteRange,
  FolderPage,
  ListPage,
  ObjectStore,
  RecordValue,
  StoredObject,
} from "../../services/backends/object-store.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

/** Hears of each change of the store, just after it happened. */
export interface StoreObserver {
  put(key: string, bytes: Buffer, created: boolean): void;
  swapped(key: string, bytes: Buffer, won: boolean): void;
  appended(key: string, bytes: Buffer): void;
  deleted(key: string): void;
  listed(prefix: string, keys: readonly string[]): void;
}

/** The one store of the cluster, as one process reaches it. */
export class SimulatedStore implements ObjectStore {
  readonly #process: SimulatedProcess;
  readonly #store: MemoryStore;
  readonly #observer: StoreObserver;
  readonly appendsMax?: number;
  readonly #appends = new Map<string, number>();

  /** `appendsMax`: as the seam's; undefined: any number. */
  constructor(process: SimulatedProcess, store: MemoryStore, observer: StoreObserver, appendsMax: number | undefined) {
    this.#process = process;
    this.#store = store;
    this.#observer = observer;
    if (appendsMax !== undefined) this.appendsMax = appendsMax;
  }

  put(key: string, bytes: Buffer): Promise<boolean> {
    return this.#process.call(
      () => `put ${short(key)}`,
      async () => {
        const created = await this.#store.put(key, bytes);
        this.#observer.put(key, bytes, created);
        return created;
      },
      (created) => !created,
    );
  }

  get(key: string, range?: ByteRange): Promise<StoredObject | undefined> {
    return this.#process.call(
      () => `get ${short(key)}`,
      () => this.#store.get(key, range),
    );
  }

  size(key: string): Promise<number | undefined> {
    return this.#process.call(
      () => `size ${short(key)}`,
      () => this.#store.size(key),
    );
  }

  read(key: string): Promise<RecordValue | undefined> {
    return this.#process.call(
      () => `read ${short(key)}`,
      () => this.#store.read(key),
    );
  }

  swap(key: string, bytes: Buffer, expected: string | undefined): Promise<string | undefined> {
    return this.#process.call(
      () => `swap ${short(key)} ${bytes.toString("utf8").trim()}`,
      async () => {
        const version = await this.#store.swap(key, bytes, expected);
        this.#observer.swapped(key, bytes, version !== undefined);
        return version;
      },
      (version) => version === undefined,
    );
  }

  append(key: string, bytes: Buffer, offset: number): Promise<void> {
    return this.#process.call(
      () => `append ${short(key)} ${excerpt(key, bytes)}`,
      async () => {
        await this.#store.append(key, bytes, offset);
        this.#count(key);
        this.#observer.appended(key, bytes);
      },
      () => false,
    );
  }

  /** Each log has one writer, so that its process sees all of its appends. */
  #count(key: string): void {
    const appends = (this.#appends.get(key) ?? 0) + 1;
    this.#appends.set(key, appends);
    const { world } = this.#process;
    if (appends > (this.appendsMax ?? Infinity)) world.broken(`${key} was appended to ${String(appends)} times`);
    const log = /\/(ledger|results|errors|verdicts)\/.*-0*[1-9]\d*(?:\.ndjson)?$/.exec(key)?.[1];
    if (log !== undefined && appends === 1) world.count(`further part: ${log}`);
  }

  sync(keys: readonly string[]): Promise<void> {
    return this.#process.call("sync", () => this.#store.sync(keys));
  }

  list(prefix: string, options?: { readonly after?: string; readonly limit?: number }): Promise<ListPage> {
    return this.#process.call(
      () => `list ${short(prefix)}`,
      async () => {
        const page = await this.#store.list(prefix, options);
        this.#observer.listed(prefix, page.entries.map(({ key }) => key)); // prettier-ignore
        return page;
      },
    );
  }

  folders(folder: string, options?: { readonly after?: string; readonly limit?: number }): Promise<FolderPage> {
    return this.#process.call(
      () => `folders ${short(folder)}`,
      () => this.#store.folders(folder, options),
    );
  }

  delete(key: string): Promise<void> {
    return this.#process.call(
      () => `delete ${short(key)}`,
      async () => {
        await this.#store.delete(key);
        this.#observer.deleted(key);
      },
    );
  }

  now(): Promise<number> {
    return this.#process.call("now", () => this.#store.now());
  }
}

/** `apis/sim/jobs/<16 digits>/…` is long; the job's last four digits tell it apart. */
function short(key: string): string {
  return key.replace(/^apis\/[^/]+\//, "").replace(/^jobs\/\w{11}(\w{5})\//, "$1/");
}

function excerpt(key: string, bytes: Buffer): string {
  if (!key.includes("/ledger/") && !key.includes("/verdicts/")) return `${String(bytes.length)} bytes`;
  return bytes.toString("utf8", 0, 600).trim().replaceAll("\n", " ");
}
