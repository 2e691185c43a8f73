/** Reads `pod`: the containers that take batches by HTTP, in the words of the predecessor's 0.36 and later. */
import type { ContainerHandlerSpec, ContainerSpec, ProbeSpec } from "./api-spec.ts";
import { bytesOf, parseEnv, parseQuantities, parseQuantity, MEMORY } from "./api-spec.values.ts";
import { Fields, found, isRecord } from "./fields.ts";
import { LIMITS } from "./limits.ts";

export interface PodOptions {
  /** CPUs of a container that does not say. */
  readonly cpuDefault: string | null;
  /** Reads fields of a container's `compute` that one dialect alone has. */
  readonly compute?: (fields: Fields) => void;
}

const POD_DEFAULTS = { port: 8080, concurrency: 1, startTimeoutSeconds: 600 } as const;
const PROBE_DEFAULTS = { initialDelay: 0, timeout: 1, period: 10, success: 1, failure: 3 } as const;
const CONCURRENCY_MAX = 256;
const PROBE_SECONDS_MAX = 3600;
const PROBES_IN_A_ROW_MAX = 1000;
const PORTS = { min: 1, max: 65_535 } as const;

/** Names of containers of a worker's pod that are not the user's; the last two were the predecessor's. */
export const RESERVED_CONTAINER_NAMES = ["worker", "job-file", "dequeuer", "proxy"] as const;
/** Ports of a pod that are kept for its worker; the predecessor kept the same. */
export const RESERVED_PORTS = [8888, 15_000] as const;

/** Of an absent or wrong field the default, its fault noted. */
export function parsePod(fields: Fields, options: PodOptions): ContainerHandlerSpec {
  const port = parsePort(fields) ?? POD_DEFAULTS.port;
  const processes = fields.integer("max_concurrency", { min: 1, max: CONCURRENCY_MAX }) ?? POD_DEFAULTS.concurrency;
  const startTimeout = fields.integer("start_timeout", { min: 1, max: LIMITS.containerStartSecondsMax });
  const containers = parseContainers(fields, port, options);
  fields.end();
  return {
    kind: "container",
    port,
    processes,
    start_timeout_seconds: startTimeout ?? POD_DEFAULTS.startTimeoutSeconds,
    containers,
  };
}

function parsePort(fields: Fields): number | undefined {
  const port = fields.integer("port", PORTS);
  if (port === undefined || !RESERVED_PORTS.some((reserved) => reserved === port)) return port;
  fields.fault("port", `${String(port)}, which is kept for the worker`, "let the container listen on another");
  return undefined;
}

function parseContainers(fields: Fields, port: number, options: PodOptions): readonly ContainerSpec[] {
  const value = fields.raw("containers");
  if (!Array.isArray(value) || value.length === 0) {
    fields.fault("containers", found(value), 'write a list of containers ("- name: …"), at least one');
    return [];
  }
  if (value.length > LIMITS.containersMax) {
    fields.fault("containers", found(value), `write at most ${String(LIMITS.containersMax)}`);
    return [];
  }
  const names = new Set<string>();
  return value.flatMap((container: unknown, index) => {
    const path = `${fields.path === "" ? "" : `${fields.path}.`}containers[${String(index)}]`;
    const reader = new Fields(container, path, fields.faults);
    return isRecord(container) ? [parseContainer(reader, port, names, options)] : [];
  });
}

function parseContainer(fields: Fields, port: number, names: Set<string>, options: PodOptions): ContainerSpec {
  const container = {
    name: parseContainerName(fields, names),
    image: parseImage(fields),
    command: parseWords(fields, "command"),
    args: parseWords(fields, "args"),
    env: parseEnv(fields, "env"),
    compute: parseContainerCompute(fields.object("compute"), options),
    readiness_probe: parseProbe(fields, "readiness_probe", port, false),
    liveness_probe: parseProbe(fields, "liveness_probe", port, true),
  };
  fields.end();
  return container;
}

function parseContainerName(fields: Fields, names: Set<string>): string {
  const name = fields.text("name");
  if (name === undefined) {
    if (fields.raw("name") === undefined) fields.fault("name", "nothing", "give the container a name, like api");
    return "";
  }
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name)) {
    fields.fault("name", found(name), 'use a-z, 0-9 and "-" (not first, not last), at most 63 characters');
  } else if (RESERVED_CONTAINER_NAMES.some((reserved) => reserved === name)) {
    fields.fault("name", `${found(name)}, the name of a container of the service's own`, "choose another");
  } else if (names.has(name)) {
    fields.fault("name", `${found(name)}, the name of another container as well`, "choose another");
  }
  names.add(name);
  return name;
}

function parseImage(fields: Fields): string {
  const image = fields.text("image");
  if (image !== undefined && /^\S+$/.test(image)) return image;
  if (image !== undefined) fields.fault("image", found(image), "name an image without blanks");
  else if (fields.raw("image") === undefined) {
    fields.fault("image", "nothing", "name the container's image, like registry/name@sha256:…");
  }
  return "";
}

function parseWords(fields: Fields, name: string): readonly string[] | null {
  const value = fields.raw(name);
  if (value === undefined) return null;
  if (!Array.isArray(value)) {
    fields.fault(name, found(value), 'write a list of texts, like ["python", "main.py"]');
    return null;
  }
  const wrong = value.findIndex((word) => typeof word !== "string");
  if (wrong === -1) return value as string[];
  fields.fault(`${name}[${String(wrong)}]`, found(value[wrong]), "put it in quotes");
  return null;
}

function parseContainerCompute(fields: Fields, options: PodOptions): ContainerSpec["compute"] {
  const { cpu, mem, gpu } = parseQuantities(fields);
  const shm = parseQuantity(fields, "shm", MEMORY);
  if (shm !== null && mem !== null && bytesOf(shm) > bytesOf(mem)) {
    fields.fault("shm", found(shm), `make it at most as large as mem (${mem}), of which it is a part`);
  }
  options.compute?.(fields);
  fields.end();
  return { cpu: cpu ?? options.cpuDefault, mem, gpu, shm };
}

/** `exec` is for probes that Kubernetes makes; the others are made over the pod's own network by the worker. */
function parseProbe(container: Fields, name: string, port: number, exec: boolean): ProbeSpec | null {
  if (container.raw(name) === undefined) return null;
  const fields = container.object(name);
  const seconds = (field: string, min: number) => fields.integer(field, { min, max: PROBE_SECONDS_MAX });
  const times = (field: string) => fields.integer(field, { min: 1, max: PROBES_IN_A_ROW_MAX });
  const probe = {
    check: parseCheck(fields, port, exec),
    initial_delay_seconds: seconds("initial_delay_seconds", 0) ?? PROBE_DEFAULTS.initialDelay,
    timeout_seconds: seconds("timeout_seconds", 1) ?? PROBE_DEFAULTS.timeout,
    period_seconds: seconds("period_seconds", 1) ?? PROBE_DEFAULTS.period,
    success_threshold: times("success_threshold") ?? PROBE_DEFAULTS.success,
    failure_threshold: times("failure_threshold") ?? PROBE_DEFAULTS.failure,
  };
  if (exec && probe.success_threshold > 1) {
    fields.fault("success_threshold", String(probe.success_threshold), "write 1: Kubernetes takes no other there");
  }
  fields.end();
  return probe;
}

function parseCheck(fields: Fields, port: number, exec: boolean): ProbeSpec["check"] {
  const kinds = ["http_get", "tcp_socket", "exec"].filter((kind) => fields.raw(kind) !== undefined);
  const allowed = exec ? "http_get, tcp_socket and exec" : "http_get and tcp_socket";
  if (kinds.length !== 1) {
    fields.fault("", kinds.length === 0 ? "no check" : kinds.join(" beside "), `write one of ${allowed}`);
  }
  const [kind] = kinds;
  if (kind === "exec") {
    const command = parseWords(fields.object("exec"), "command") ?? [];
    if (!exec) fields.fault("exec", "a command", "write http_get or tcp_socket: the worker asks, from outside");
    else if (command.length === 0) fields.fault("exec.command", "nothing", "write the command as a list of texts");
    return { kind, command };
  }
  const check = fields.object(kind ?? "tcp_socket");
  const checked = check.integer("port", PORTS) ?? port;
  if (kind !== "http_get") {
    check.end();
    return { kind: "tcp_socket", port: checked };
  }
  const path = check.text("path") ?? "/";
  if (!/^\/[\x21-\x7e]*$/.test(path)) check.fault("path", found(path), 'write a path that begins with "/"');
  check.end();
  return { kind, path, port: checked };
}
