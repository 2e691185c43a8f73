/** The package's public face: what `import … from "millrace"` gives a Pulumi program. */
export { ApiLogGroup, type ApiLogGroupArgs } from "./api-log-group.ts";
export { BatchStore, type BatchStoreArgs, type ExistingBucket } from "./batch-store.ts";
export { RuntimeImage, type RuntimeImageArgs } from "./runtime-image.ts";
export { type Tags } from "./tags.ts";
export { WorkQueue, type WorkQueueArgs } from "./work-queue.ts";
