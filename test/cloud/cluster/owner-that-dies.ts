/** Starts a cluster with a pod at work, says where in one line, and waits to be killed. */
import { startCluster } from "../support/cluster.ts";
import { createJob, whenRunning } from "./objects.ts";

const cluster = await startCluster({ nodes: 1 });
const { name: namespace } = await cluster.makeNamespace("held");
const script = "while true; do /bin/busybox sleep 0.1; done";
// without the host's network, so that there is a bridge to clean up
await createJob(cluster.admin, { namespace, name: "held", completions: 1, script, pod: { hostNetwork: false } });
await whenRunning(cluster.admin, namespace, "held", 1);
const { id, folder } = cluster.controlPlane;
process.stdout.write(`${JSON.stringify({ id, folder })}\n`);
process.stdin.resume();
