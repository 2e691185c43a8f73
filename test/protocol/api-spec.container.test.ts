import { describe, expect, it } from "vitest";

import { RESERVED_CONTAINER_NAMES, RESERVED_PORTS } from "../../services/protocol/api-spec.container.ts";
import { parseMillraceSpec } from "../../services/protocol/api-spec.parse.ts";
import { bytesOf } from "../../services/protocol/api-spec.values.ts";
import { LIMITS } from "../../services/protocol/limits.ts";
import { faultSentence } from "../../services/protocol/problems.ts";

const CONTAINER = { name: "api", image: "registry/api:1" };

function withPod(pod: object, rest: object = {}): unknown {
  return { name: "labels", pod, ...rest };
}

function withContainer(over: object): unknown {
  return withPod({ containers: [{ ...CONTAINER, ...over }] });
}

function sentences(value: unknown): string[] {
  const parsed = parseMillraceSpec(value);
  return parsed.kind === "faults" ? parsed.faults.map(faultSentence) : [];
}

describe("a pod in millrace.yaml", () => {
  it("has a default for everything but its containers' names and images", () => {
    expect(parseMillraceSpec(withPod({ containers: [CONTAINER] }))).toMatchObject({
      kind: "spec",
      spec: {
        handler: {
          kind: "container",
          port: 8080,
          processes: 1,
          start_timeout_seconds: 600,
          containers: [
            {
              ...CONTAINER,
              command: null,
              args: null,
              env: {},
              compute: { cpu: null, mem: null, gpu: 0, shm: null },
              readiness_probe: null,
              liveness_probe: null,
            },
          ],
        },
        compute: { cpu: null, mem: null, gpu: 0 },
        env: {},
      },
    });
  });

  it("takes every field", () => {
    const probe = { initial_delay_seconds: 5, timeout_seconds: 2, period_seconds: 3, failure_threshold: 4 };
    const main = {
      ...CONTAINER,
      command: ["python", "main.py"],
      args: ["--port", "$(CORTEX_PORT)"],
      env: { MODE: "fast" },
      compute: { cpu: 2, mem: "8Gi", gpu: 1, shm: "4Gi" },
      readiness_probe: { ...probe, success_threshold: 2, http_get: { path: "/ready", port: 9001 } },
      liveness_probe: { ...probe, exec: { command: ["pgrep", "python"] } },
    };
    const helper = { name: "cache", image: "redis:8", readiness_probe: { tcp_socket: { port: 6379 } } };
    const pod = { port: 9000, max_concurrency: 4, start_timeout: 1800, containers: [main, helper] };

    expect(parseMillraceSpec(withPod(pod, { config: { top: 3 }, batch_timeout: 60 }))).toMatchObject({
      kind: "spec",
      spec: {
        config: { top: 3 },
        batch_timeout_seconds: 60,
        handler: {
          ...{ port: 9000, processes: 4, start_timeout_seconds: 1800 },
          containers: [
            {
              command: ["python", "main.py"],
              args: ["--port", "$(CORTEX_PORT)"],
              env: { MODE: "fast" },
              compute: { cpu: "2", mem: "8Gi", gpu: 1, shm: "4Gi" },
              readiness_probe: {
                check: { kind: "http_get", path: "/ready", port: 9001 },
                initial_delay_seconds: 5,
                timeout_seconds: 2,
                period_seconds: 3,
                success_threshold: 2,
                failure_threshold: 4,
              },
              liveness_probe: { check: { kind: "exec", command: ["pgrep", "python"] }, success_threshold: 1 },
            },
            { name: "cache", readiness_probe: { check: { kind: "tcp_socket", port: 6379 }, period_seconds: 10 } },
          ],
        },
      },
    });
  });

  it("lets a probe without a port ask at the pod's", () => {
    const containers = [{ ...CONTAINER, readiness_probe: { http_get: {} } }];

    expect(parseMillraceSpec(withPod({ port: 9000, containers }))).toMatchObject({
      spec: {
        handler: { containers: [{ readiness_probe: { check: { kind: "http_get", path: "/", port: 9000 } } }] },
      },
    });
  });

  it.each([
    [
      "a field that is near a known one",
      withPod({ prot: 1, containers: [CONTAINER] }),
      "pod.prot: found an unknown field; write port instead, or remove it.",
    ],
    [
      "a container's field that is near a known one",
      withContainer({ comand: ["x"] }),
      "pod.containers[0].comand: found an unknown field; write command instead, or remove it.",
    ],
    [
      "a probe's field that is near a known one",
      withContainer({ liveness_probe: { tcp_socket: {}, periods: 1 } }),
      "pod.containers[0].liveness_probe.periods: found an unknown field; write one of http_get, tcp_socket, exec, initial_delay_seconds, timeout_seconds, period_seconds, success_threshold, failure_threshold, or remove it.",
    ],
    [
      "a handler beside it",
      withPod({ containers: [CONTAINER] }, { handler: { path: "handler.py" } }),
      "pod: found this beside handler; keep one of the two.",
    ],
    [
      "env beside it",
      withPod({ containers: [CONTAINER] }, { env: { A: "x" } }),
      "env: found this beside pod; give each container its own: pod.containers[0].env.",
    ],
    [
      "compute beside it",
      withPod({ containers: [CONTAINER] }, { compute: { gpu: 1 } }),
      "compute: found this beside pod; give each container its own: pod.containers[0].compute.",
    ],
    [
      "no containers",
      withPod({}),
      'pod.containers: found nothing; write a list of containers ("- name: …"), at least one.',
    ],
    [
      "an empty list of containers",
      withPod({ containers: [] }),
      'pod.containers: found a list of 0; write a list of containers ("- name: …"), at least one.',
    ],
    [
      "a container that is a text",
      withPod({ containers: ["api"] }),
      'pod.containers[0]: found "api"; write named fields.',
    ],
    [
      "a container without a name",
      withPod({ containers: [{ image: "x" }] }),
      "pod.containers[0].name: found nothing; give the container a name, like api.",
    ],
    [
      "a container without an image",
      withPod({ containers: [{ name: "api" }] }),
      "pod.containers[0].image: found nothing; name the container's image, like registry/name@sha256:….",
    ],
    [
      "a name that no container has",
      withContainer({ name: "Api_1" }),
      'pod.containers[0].name: found "Api_1"; use a-z, 0-9 and "-" (not first, not last), at most 63 characters.',
    ],
    [
      "two containers of one name",
      withPod({ containers: [CONTAINER, CONTAINER] }),
      'pod.containers[1].name: found "api", the name of another container as well; choose another.',
    ],
    [
      "an image with a blank",
      withContainer({ image: "registry/api :1" }),
      'pod.containers[0].image: found "registry/api :1"; name an image without blanks.',
    ],
    [
      "a command that is a text",
      withContainer({ command: "python main.py" }),
      'pod.containers[0].command: found "python main.py"; write a list of texts, like ["python", "main.py"].',
    ],
    [
      "a number in a command",
      withContainer({ args: ["--port", 8080] }),
      "pod.containers[0].args[1]: found 8080; put it in quotes.",
    ],
    [
      "a variable of the service's own",
      withContainer({ env: { CORTEX_PORT: "secret" } }),
      "pod.containers[0].env.CORTEX_PORT: found a name of the service's own; choose one that starts neither with CORTEX_ nor with MILLRACE_.",
    ],
    [
      "a variable that is no text",
      withContainer({ env: { DEPTH: 3 } }),
      "pod.containers[0].env.DEPTH: found something that is no text; put the value in quotes.",
    ],
    [
      "shared memory above all memory",
      withContainer({ compute: { mem: "1Gi", shm: "1025Mi" } }),
      'pod.containers[0].compute.shm: found "1025Mi"; make it at most as large as mem (1Gi), of which it is a part.',
    ],
    [
      "memory in words",
      withContainer({ compute: { shm: "lots" } }),
      'pod.containers[0].compute.shm: found "lots"; write an amount of memory like 512Mi or 4Gi.',
    ],
    [
      "a port beyond the last",
      withPod({ port: 65_536, containers: [CONTAINER] }),
      "pod.port: found 65536; write a whole number from 1 to 65535.",
    ],
    [
      "a readiness probe that is a command",
      withContainer({ readiness_probe: { exec: { command: ["true"] } } }),
      "pod.containers[0].readiness_probe.exec: found a command; write http_get or tcp_socket: the worker asks, from outside.",
    ],
    [
      "a liveness probe without a command",
      withContainer({ liveness_probe: { exec: {} } }),
      "pod.containers[0].liveness_probe.exec.command: found nothing; write the command as a list of texts.",
    ],
    [
      "a probe without a check",
      withContainer({ readiness_probe: { period_seconds: 1 } }),
      "pod.containers[0].readiness_probe: found no check; write one of http_get and tcp_socket.",
    ],
    [
      "a probe with two checks",
      withContainer({ readiness_probe: { tcp_socket: {}, http_get: {} } }),
      "pod.containers[0].readiness_probe: found http_get beside tcp_socket; write one of http_get and tcp_socket.",
    ],
    [
      "a probe's path without a slash",
      withContainer({ readiness_probe: { http_get: { path: "ready" } } }),
      'pod.containers[0].readiness_probe.http_get.path: found "ready"; write a path that begins with "/".',
    ],
    [
      "a liveness probe that must succeed twice",
      withContainer({ liveness_probe: { tcp_socket: {}, success_threshold: 2 } }),
      "pod.containers[0].liveness_probe.success_threshold: found 2; write 1: Kubernetes takes no other there.",
    ],
  ])("refuses %s in one sentence", (_what, value, sentence) => {
    const found = sentences(value);

    expect(found).toEqual([sentence]);
  });

  it.each(RESERVED_CONTAINER_NAMES)("refuses the reserved name %s", (name) => {
    expect(sentences(withContainer({ name }))).toEqual([
      `pod.containers[0].name: found "${name}", the name of a container of the service's own; choose another.`,
    ]);
  });

  it.each(RESERVED_PORTS)("refuses the reserved port %i", (port) => {
    expect(sentences(withPod({ port, containers: [CONTAINER] }))).toEqual([
      `pod.port: found ${String(port)}, which is kept for the worker; let the container listen on another.`,
    ]);
  });

  it("takes as many containers and seconds as the limits say, and no more", () => {
    const containers = Array.from({ length: LIMITS.containersMax }, (_, n) => ({
      ...CONTAINER,
      name: `c${String(n)}`,
    }));
    const seconds = LIMITS.containerStartSecondsMax;

    expect(sentences(withPod({ containers, start_timeout: seconds }))).toEqual([]);
    expect(sentences(withPod({ containers: [...containers, CONTAINER], start_timeout: seconds + 1 }))).toEqual([
      "pod.start_timeout: found 14401; write a whole number from 1 to 14400.",
      "pod.containers: found a list of 11; write at most 10.",
    ]);
  });
});

describe("bytesOf", () => {
  it.each([
    ["100", 100],
    ["1k", 1000],
    ["1Ki", 1024],
    ["0.5Gi", 2 ** 29],
    ["2M", 2_000_000],
    ["3Ti", 3 * 2 ** 40],
    ["1P", 1e15],
  ])("reads %s", (quantity, bytes) => {
    expect(bytesOf(quantity)).toBe(bytes);
  });
});
