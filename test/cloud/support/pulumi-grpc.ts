/** gRPC as Pulumi's SDK speaks it, by the SDK's own copies of the libraries: its generated messages belong to them. */
import { createRequire } from "node:module";
import type { ResourceMonitorClient } from "@pulumi/pulumi/proto/resource_grpc_pb.js";
import type { CreateRequest } from "@pulumi/pulumi/proto/provider_pb.js";
import type { IResourceProviderServer } from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import type { Properties } from "./pulumi-values.ts";

type ChannelCredentials = ConstructorParameters<typeof ResourceMonitorClient>[1];
type StructMessage = NonNullable<ReturnType<CreateRequest["getProperties"]>>;
type EmptyMessage = NonNullable<Parameters<Parameters<IResourceProviderServer["delete"]>[1]>[1]>;

interface GrpcServer {
  addService(service: object, handlers: object): void;
  bindAsync(address: string, credentials: object, bound: (error: Error | null, port: number) => void): void;
  forceShutdown(): void;
}
interface Grpc {
  readonly Server: new (options: object) => GrpcServer;
  readonly ServerCredentials: { createInsecure(): object };
  readonly credentials: { createInsecure(): ChannelCredentials };
}

const ofSdk = createRequire(createRequire(import.meta.url).resolve("@pulumi/pulumi/package.json"));
const grpc = ofSdk("@grpc/grpc-js") as Grpc;
const { Struct } = ofSdk("google-protobuf/google/protobuf/struct_pb.js") as {
  readonly Struct: { fromJavaScript(value: Properties): StructMessage };
};
const { Empty } = ofSdk("google-protobuf/google/protobuf/empty_pb.js") as { readonly Empty: new () => EmptyMessage };

/** As the engine's own limit: a stack's resources may be large. */
export const CHANNEL_OPTIONS = { "grpc.max_receive_message_length": 400 << 20 };
const UNKNOWN_ERROR = 2;
const UNIMPLEMENTED = 12;

export function toEngine(): ChannelCredentials {
  return grpc.credentials.createInsecure();
}

export function emptyMessage(): EmptyMessage {
  return new Empty();
}

export function toStruct(properties: Properties): StructMessage {
  return Struct.fromJavaScript(properties);
}

export function fromStruct(message: StructMessage | undefined): Properties {
  return message?.toJavaScript() ?? {};
}

interface Refusal {
  readonly code: number;
  readonly details: string;
}

/** A handler of one request and one answer; what it throws is what the engine tells its user. */
export function unary<Asked, Answer>(answer: (request: Asked) => Answer | Promise<Answer>) {
  return (call: { readonly request: Asked }, done: (refusal: Refusal | null, answer?: Answer) => void): void => {
    const answered = Promise.resolve().then(() => answer(call.request));
    answered.then(
      (message) => done(null, message),
      (error: unknown) =>
        done({ code: UNKNOWN_ERROR, details: error instanceof Error ? error.message : String(error) }),
    );
  };
}

export interface RunningServer {
  /** On 127.0.0.1. */
  readonly port: number;
  stop(): void;
}

/** Serves on a free port; a method without a handler is answered with UNIMPLEMENTED, which the engine takes as "has none". */
export async function serve(service: object, handlers: object): Promise<RunningServer> {
  const all: Record<string, unknown> = { ...handlers };
  for (const method of Object.keys(service)) {
    all[method] ??= (call: { emit(event: string, refusal: Refusal): void }, done?: (refusal: Refusal) => void) => {
      const refusal = { code: UNIMPLEMENTED, details: `${method} is not part of this test's server` };
      if (done === undefined) call.emit("error", refusal);
      else done(refusal);
    };
  }
  const server = new grpc.Server(CHANNEL_OPTIONS);
  server.addService(service, all);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return { port, stop: () => server.forceShutdown() };
}
