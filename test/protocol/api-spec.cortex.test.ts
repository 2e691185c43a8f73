import { describe, expect, it } from "vitest";

import { parseCortexSpec } from "../../services/protocol/api-spec.cortex.ts";
import { faultSentence } from "../../services/protocol/problems.ts";

function sentences(value: unknown, wanted?: string): string[] {
  const parsed = parseCortexSpec(value, wanted);
  return parsed.kind === "faults" ? parsed.faults.map(faultSentence) : [];
}

const CONTAINER = { name: "api", image: "registry/api:1" };
const POD = { port: 9000, containers: [CONTAINER] };
const PYTHON = { type: "python", path: "batch.py" };

describe("parseCortexSpec", () => {
  it("reads an API of 0.19 with its predictor, and says what has no effect", () => {
    const parsed = parseCortexSpec([
      {
        name: "image-classifier",
        kind: "BatchAPI",
        predictor: {
          ...PYTHON,
          config: { threshold: 0.5 },
          python_path: "lib",
          env: { MODE: "x" },
          image: "cortexlabs/p:0.19",
        },
        networking: { endpoint: "classify", api_gateway: "none" },
        compute: { cpu: "200m", gpu: 0, inf: 0, mem: null },
      },
    ]);

    expect(parsed).toMatchObject({
      kind: "spec",
      spec: {
        name: "image-classifier",
        handler: { path: "batch.py", python_path: "lib" },
        config: { threshold: 0.5 },
        env: { MODE: "x" },
        compute: { cpu: "200m", mem: null, gpu: 0 },
        cortex_project: true,
      },
      warnings: [
        "[0].networking.endpoint has no effect here: the API answers at /image-classifier.",
        "[0].networking.api_gateway has no effect here: the API answers at the service's own address.",
        "[0].predictor.image has no effect here: the handler runs in this machine's Python with the project's requirements.",
      ],
    });
  });

  it("reads an API of 0.35 with its handler, beside fields of ours", () => {
    const parsed = parseCortexSpec([
      {
        name: "a",
        kind: "BatchAPI",
        handler: { ...PYTHON, log_level: "warning", shm_size: "1Gi", dependencies: { pip: "reqs.txt" } },
        compute: { node_groups: ["cpu"] },
        attempts: 1,
        cortex_dialect: "0.20",
      },
    ]);

    expect(parsed).toMatchObject({
      kind: "spec",
      spec: {
        handler: { log_level: "warning", dependencies: { pip: "reqs.txt", conda: "conda-packages.txt" } },
        attempts: 1,
        cortex_dialect: "0.20",
      },
    });
  });

  it("reads an API of 0.36 with its containers, whose CPUs default to what they were there", () => {
    const parsed = parseCortexSpec([
      { name: "a", kind: "BatchAPI", pod: POD, node_groups: ["gpu"], networking: { endpoint: "/a" } },
    ]);

    expect(parsed).toMatchObject({
      kind: "spec",
      spec: {
        handler: { kind: "container", port: 9000, processes: 1, containers: [{ ...CONTAINER, command: null }] },
        compute: { cpu: null, mem: null, gpu: 0 },
        config: {},
        cortex_project: true,
      },
      warnings: ["[0].node_groups has no effect here: the machine of the service runs the workers."],
    });
    expect(parsed).toMatchObject({ spec: { handler: { containers: [{ compute: { cpu: "200m" } }] } } });
  });

  it("chooses the only batch API, or the named one", () => {
    const file = [
      { name: "live", kind: "RealtimeAPI", handler: PYTHON },
      { name: "nightly", kind: "BatchAPI", handler: PYTHON },
    ];

    expect(parseCortexSpec(file)).toMatchObject({ spec: { name: "nightly" } });
    expect(parseCortexSpec(file, "nightly")).toMatchObject({ spec: { name: "nightly" } });
    expect(sentences(file, "live")).toEqual([
      '[0].kind: found "RealtimeAPI"; write BatchAPI: only batch APIs run here.',
    ]);
    expect(sentences(file, "weekly")).toEqual([': found no API "weekly"; name one of live, nightly.']);
    expect(sentences([file[1], { ...file[1], name: "b" }])).toEqual([": found 2 batch APIs; name one of nightly, b."]);
    expect(sentences([])).toEqual([': found a list of 0; write a list of APIs ("- name: …").']);
    expect(sentences({ name: "a" })).toEqual([': found named fields; write a list of APIs ("- name: …").']);
  });

  it.each([
    [{ handler: PYTHON, pod: POD }, "[0].pod: found this beside handler; keep one of the two."],
    [
      { pod: { containers: [{ ...CONTAINER, compute: { inf: 1 } }] } },
      "[0].pod.containers[0].compute.inf: found 1; remove it: no worker has Inferentia chips.",
    ],
    [{ pod: { ...POD, containers: [{ ...CONTAINER, pre_stop: { exec: { command: ["true"] } } }] } }, undefined],
    [
      { handler: { type: "tensorflow", path: "h.py", models: { path: "s3://b/m" } } },
      "[0].handler.type: found tensorflow, which does not run yet; load the model in a Python class for now (type: python).",
    ],
    [
      { predictor: { type: "onnx", path: "h.py", model_path: "s3://b/m.onnx" } },
      "[0].predictor.type: found onnx, which does not run yet; load the model in a Python class for now (type: python).",
    ],
    [
      { predictor: { ...PYTHON, models: { path: "s3://b/m" } } },
      "[0].predictor.models: found a model, which is not loaded for you; load it in __init__ and give its path in config.",
    ],
    [
      { predictor: { ...PYTHON, processes_per_replica: 2 } },
      "[0].predictor.processes_per_replica: found 2; write 1, as batch APIs always had to, and submit with more workers.",
    ],
    [
      { predictor: { ...PYTHON, server_side_batching: { max_batch_size: 4 } } },
      "[0].predictor.server_side_batching: found what batch APIs never had; remove it.",
    ],
    [
      { predictor: PYTHON, compute: { inf: 1 } },
      "[0].compute.inf: found 1; remove it: no worker has Inferentia chips.",
    ],
    [{ predictor: PYTHON, handler: PYTHON }, "[0].predictor: found this beside handler; keep one of the two."],
    [{ predictor: PYTHON, autoscaling: {} }, undefined],
    [
      { predictor: { ...PYTHON, pyton_path: "x" } },
      "[0].predictor.pyton_path: found an unknown field; write python_path instead, or remove it.",
    ],
  ])("refuses %j in one sentence", (api, sentence) => {
    const found = sentences([{ name: "a", kind: "BatchAPI", ...api }]);

    expect(found).toHaveLength(1);
    if (sentence !== undefined) expect(found[0]).toBe(sentence);
  });
});
