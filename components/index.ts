/** The package's public face: what `import … from "millrace"` gives a Pulumi program. */
export { ApiLogGroup, LOG_RETENTION_DAYS, type ApiLogGroupArgs } from "./api-log-group.ts";
export { BatchApi } from "./batch-api.ts";
export type { ApiAuth, ApiIngress, ApiKey, BatchApiArgs, SpecOverrides } from "./batch-api-args.ts";
export type { Compute } from "./batch-api/worker-template.ts";
export { BatchCluster, type BatchClusterArgs } from "./batch-cluster.ts";
export { BatchStore, type BatchStoreArgs, type ExistingBucket } from "./batch-store.ts";
export { CpuNodeGroup, type CpuNodeGroupArgs } from "./cpu-node-group.ts";
export type { DatasetLocation } from "./dataset-locations.ts";
export { GpuNodeGroup, type GpuNodeGroupArgs } from "./gpu-node-group.ts";
export { HandlerProject, type HandlerProjectArgs } from "./handler-project.ts";
export type { Architecture, InstanceShape } from "./instance-shape.ts";
export { PodRole, type PodRoleArgs } from "./pod-role.ts";
export { RuntimeImage, type RuntimeImageArgs } from "./runtime-image.ts";
export * from "./statements.ts";
export type { Tags } from "./tags.ts";
export { WorkQueue, type WorkQueueArgs } from "./work-queue.ts";
export type { WorkerNodeGroup } from "./worker-node-group.ts";
