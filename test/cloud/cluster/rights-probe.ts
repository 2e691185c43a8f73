/** Runs in a pod: asks the API server for one thing after the other with the pod's own token, and prints what it was answered. */
import { readFileSync, writeFileSync } from "node:fs";
import { request } from "node:https";

const MOUNTED = "/var/run/secrets/kubernetes.io/serviceaccount";
const namespace = readFileSync(`${MOUNTED}/namespace`, "utf8");

function answerOf(method: string, path: string, body?: object): Promise<number> {
  return new Promise((resolve, reject) => {
    const token = readFileSync(`${MOUNTED}/token`, "utf8");
    const asked = request({
      host: process.env["KUBERNETES_SERVICE_HOST"],
      port: process.env["KUBERNETES_SERVICE_PORT"],
      method,
      path,
      ca: readFileSync(`${MOUNTED}/ca.crt`),
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    });
    asked.once("error", reject);
    asked.once("response", (response) => {
      response.resume().once("end", () => {
        resolve(response.statusCode ?? 0);
      });
    });
    asked.end(body && JSON.stringify(body));
  });
}

function codeOf(attempt: () => void): string {
  try {
    attempt();
    return "done";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "unknown";
  }
}

const job = {
  metadata: { name: "probed" },
  spec: {
    suspend: true,
    template: { spec: { restartPolicy: "Never", containers: [{ name: "main", image: "localhost/busybox:1" }] } },
  },
};
const own = `namespaces/${namespace}`;
const asked: readonly (readonly [string, string, object?])[] = [
  ["POST", `/apis/batch/v1/${own}/jobs`, job],
  ["GET", `/apis/batch/v1/${own}/jobs`],
  ["GET", `/api/v1/${own}/pods`],
  ["GET", `/api/v1/${own}/events`],
  ["DELETE", `/apis/batch/v1/${own}/jobs/probed`],
  ["GET", `/api/v1/${own}/secrets`],
  ["DELETE", `/api/v1/${own}/pods/any`],
  ["POST", `/api/v1/${own}/pods`, { metadata: { name: "any" } }],
  ["GET", "/api/v1/nodes"],
  ["GET", "/apis/batch/v1/namespaces/default/jobs"],
];
const answers: string[] = [];
for (const [method, path, body] of asked) {
  const status = await answerOf(method, path, body);
  answers.push(`${method} ${path.replace(own, "own").replace(/^\/apis?\/(batch\/)?v1\//, "")} ${String(status)}`);
}
const user = process.getuid?.();
const root = codeOf(() => {
  writeFileSync("/written", "");
});
const scratch = codeOf(() => {
  writeFileSync("/scratch/written", "");
});
process.stdout.write(`${JSON.stringify({ answers, user, root, scratch })}\n`);
