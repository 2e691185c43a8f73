import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { KubeConfig } from "@kubernetes/client-node";

export interface AskedOfApiServer {
  /** Like `GET /api/v1/namespaces/batch/pods`. */
  readonly line: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
}

export interface ApiServerAnswer {
  readonly status?: number;
  readonly body: object;
}

export interface ScriptedApiServer {
  readonly kubeConfig: KubeConfig;
  readonly asked: AskedOfApiServer[];
  close(): Promise<void>;
}

/** What a real one says when there is no such object, or when there is one already. */
export function noObject(status: 404 | 409 = 404): ApiServerAnswer {
  return { status, body: { kind: "Status", message: status === 404 ? "not found" : "already exists" } };
}

/** A Kubernetes API server that answers what a test says. */
export async function startApiServer(answer: (asked: AskedOfApiServer) => ApiServerAnswer): Promise<ScriptedApiServer> {
  const asked: AskedOfApiServer[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const { pathname, searchParams: query } = new URL(request.url ?? "", "http://localhost");
      const line = `${request.method ?? ""} ${pathname}`;
      const one = { line, query, body: body === "" ? undefined : (JSON.parse(body) as unknown) };
      asked.push(one);
      const { status = 200, body: reply } = answer(one);
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(reply));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const kubeConfig = new KubeConfig();
  const { port } = server.address() as AddressInfo;
  kubeConfig.loadFromClusterAndUser(
    { name: "test", server: `http://127.0.0.1:${String(port)}`, skipTLSVerify: true },
    { name: "service" },
  );
  return {
    kubeConfig,
    asked,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
