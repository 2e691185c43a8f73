import {
  createConfiguration,
  type KubeConfig,
  ApiException,
  BatchV1Api,
  CoreV1Api,
  ServerConfiguration,
} from "@kubernetes/client-node";
import type { Clock, Random } from "../clock.ts";
import { Unwell } from "../unwell.ts";
import { PoolRefused } from "../worker-pool.ts";

/** Told of each request that is sent, retries included: for counters. */
export type RequestListener = (verb: string, resource: string) => void;

export interface ApiCallsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly onRequest?: RequestListener | undefined;
}

const TRIES = 4;
const BACKOFF_FIRST_MS = 100;
const BACKOFF_LAST_MS = 2_000;
/** A request that takes longer has lost its connection: the largest page takes well under a second. */
const REQUEST_TIMEOUT_MS = 10_000;
const WORDS_MAX = 1_000;

export interface ApiClients {
  readonly batch: BatchV1Api;
  readonly core: CoreV1Api;
}

/** Clients whose requests end after 10 s; the library's own have no limit. Throws when the configuration names no cluster. */
export function apiClients(kubeConfig: KubeConfig): ApiClients {
  const cluster = kubeConfig.getCurrentCluster();
  if (cluster === null) throw new Error("the Kubernetes configuration names no cluster: set its current context");
  const configuration = createConfiguration({
    baseServer: new ServerConfiguration(cluster.server, {}),
    authMethods: { default: kubeConfig },
    promiseMiddleware: [
      {
        pre: async (request) => {
          request.setHeaderParam("User-Agent", "millrace");
          request.setSignal(AbortSignal.timeout(REQUEST_TIMEOUT_MS));
          return request;
        },
        post: async (response) => response,
      },
    ],
  });
  return { batch: new BatchV1Api(configuration), core: new CoreV1Api(configuration) };
}

/** Requests to the API server: counted, retried a few times with jitter when the server or the way to it is at fault. */
export class ApiCalls {
  readonly #options: ApiCallsOptions;

  constructor(options: ApiCallsOptions) {
    this.#options = options;
  }

  /**
   * One request and its retries. Throws an `ApiException` that the server answered for good, or `Unwell`, which says what
   * could not be asked, when the server stayed silent, overloaded or broken.
   */
  async ask<T>(verb: string, resource: string, request: () => Promise<T>, tries = TRIES): Promise<T> {
    for (let failures = 0; ;) {
      this.#options.onRequest?.(verb, resource);
      try {
        return await request();
      } catch (error) {
        failures += 1;
        if (!isTransient(error)) throw error;
        if (failures >= tries) throw new Unwell(unanswered(verb, resource, error), { cause: error });
        await this.#options.clock.sleep(this.#backoffMs(failures, error));
      }
    }
  }

  #backoffMs(failures: number, error: unknown): number {
    const exponential = Math.min(BACKOFF_LAST_MS, BACKOFF_FIRST_MS * 2 ** failures);
    const asked = error instanceof ApiException ? 1000 * Number(error.headers["retry-after"] ?? 0) : 0;
    const floorMs = Number.isFinite(asked) ? Math.min(asked, BACKOFF_LAST_MS) : 0;
    return floorMs + exponential * (0.5 + this.#options.random.fraction() / 2);
  }
}

/** The status that the server answered; undefined when it did not answer. */
export function statusOf(error: unknown): number | undefined {
  return error instanceof ApiException ? error.code : undefined;
}

/** The server's own words, at most 1,000 characters. */
export function wordsOf(error: unknown): string {
  if (!(error instanceof ApiException)) return error instanceof Error ? errorWords(error) : String(error);
  const body: unknown = error.body;
  const status = typeof body === "string" ? parsed(body) : body;
  const message = typeof status === "object" && status !== null ? (status as { message?: unknown }).message : undefined;
  return (typeof message === "string" ? message : `HTTP ${String(error.code)}`).slice(0, WORDS_MAX);
}

/**
 * What an answer to a `create` means. Invalid objects, refusals by admission and objects that are too large come back the same
 * however often they are sent: `PoolRefused`. A missing right, a full quota or a namespace that is going is the cluster's
 * state, which changes: `Unwell`.
 */
export function refusal(what: string, error: unknown): Error {
  const status = statusOf(error);
  const words = wordsOf(error);
  if (status === 403 && words.includes("exceeded quota"))
    return new Unwell(`${what} waits for quota: ${words}`, { cause: error });
  if (status === 403 && words.includes("being terminated")) return new Unwell(`${what}: ${words}`, { cause: error });
  if (status === 401 || (status === 403 && isMissingRight(words))) return unwell(what, error);
  if (status === 400 || status === 403 || status === 413 || status === 422) {
    return new PoolRefused(`Kubernetes refuses ${what}: ${words}`, { cause: error });
  }
  return unwell(what, error);
}

/** An answer that is no object's fault, as `Unwell`; what is no answer of the server stays as it is. */
export function unwell(what: string, error: unknown): Error {
  const status = statusOf(error);
  const words = wordsOf(error);
  if (status === undefined) return error instanceof Error ? error : new Error(words);
  if (status === 401) {
    return new Unwell(`${what}: Kubernetes does not know the service (${words}); give it a valid service account`, {
      cause: error,
    });
  }
  if (status !== 403 || !isMissingRight(words)) return new Unwell(`${what}: ${words}`, { cause: error });
  const fix = "grant it by a role that is bound to the service's account";
  return new Unwell(`${what}: the service lacks a right in its namespace: ${words}; ${fix}`, { cause: error });
}

/** The authoriser's sentence; admission's begins with the same words and goes on in another way. */
function isMissingRight(words: string): boolean {
  return / is forbidden: User "[^"]*" cannot /.test(words);
}

function isTransient(error: unknown): boolean {
  const status = statusOf(error);
  return status === undefined ? isNetworkError(error) : status === 429 || status >= 500;
}

/** What fetch throws: no connection, reset, timeout. */
function isNetworkError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === "TimeoutError" || error.name === "AbortError" || error instanceof TypeError || "code" in error;
}

function unanswered(verb: string, resource: string, error: unknown): string {
  return `the Kubernetes API server did not answer "${verb} ${resource}": ${wordsOf(error)}; check that it runs, and the network`;
}

/** fetch says only "fetch failed" and keeps the reason in its cause. */
function errorWords(error: Error): string {
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined; // a proxy's page: the status alone is told
  }
}
