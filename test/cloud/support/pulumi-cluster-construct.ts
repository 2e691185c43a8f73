/** What the provider of `@pulumi/eks` does when a program declares a cluster, as far as other resources see it. */
import { createRequire } from "node:module";
import Monitor from "@pulumi/pulumi/proto/resource_pb.js";
import MonitorService from "@pulumi/pulumi/proto/resource_grpc_pb.js";
import Provider from "@pulumi/pulumi/proto/provider_pb.js";
import { computedOutputs } from "../../components/support/computed-outputs.ts";
import { CHANNEL_OPTIONS, fromStruct, toEngine, toStruct } from "./pulumi-grpc.ts";
import { plainProperties, resourceReference, UNKNOWN, type Properties, type Value } from "./pulumi-values.ts";

export const CLUSTER_COMPONENT = "eks:index:Cluster";
const AWS_VERSION = (createRequire(import.meta.url)("@pulumi/aws/package.json") as { readonly version: string })
  .version;

/** Registers the component with one child, the cluster itself; of the real one's other children nothing is made. */
export async function constructCluster(request: Provider.ConstructRequest): Promise<Provider.ConstructResponse> {
  const monitor = new MonitorService.ResourceMonitorClient(request.getMonitorendpoint(), toEngine(), CHANNEL_OPTIONS);
  try {
    const inputs = fromStruct(request.getInputs());
    const component = await register(monitor, componentOf(request));
    const cluster = await register(monitor, clusterOf(request, component.getUrn(), inputs));
    const made = cluster.getId() !== "";
    const state = outputsOf(request.getName(), plainProperties(inputs), cluster, made);
    await registerOutputs(monitor, component.getUrn(), state);
    return new Provider.ConstructResponse().setUrn(component.getUrn()).setState(toStruct(state));
  } finally {
    monitor.close();
  }
}

function componentOf(request: Provider.ConstructRequest): Monitor.RegisterResourceRequest {
  const component = new Monitor.RegisterResourceRequest()
    .setType(request.getType())
    .setName(request.getName())
    .setCustom(false)
    .setParent(request.getParent())
    .setObject(toStruct({}))
    .setAcceptsecrets(true)
    .setAcceptresources(true)
    .setAliasesList(request.getAliasesList())
    .setDependenciesList(request.getDependenciesList())
    .setProtect(request.getProtect() ?? false)
    .setRetainondelete(request.getRetainondelete() ?? false);
  request.getProvidersMap().forEach((reference, name) => component.getProvidersMap().set(name, reference));
  return component;
}

function clusterOf(
  request: Provider.ConstructRequest,
  parent: string,
  inputs: Properties,
): Monitor.RegisterResourceRequest {
  const subnets = [inputs["publicSubnetIds"], inputs["privateSubnetIds"], inputs["subnetIds"]].flatMap(
    (ids) => ids ?? [],
  );
  const given = ["name", "version", "tags", "enabledClusterLogTypes", "upgradePolicy", "deletionProtection"];
  const cluster = new Monitor.RegisterResourceRequest()
    .setType("aws:eks/cluster:Cluster")
    .setName(`${request.getName()}-eksCluster`)
    .setCustom(true)
    .setParent(parent)
    .setAcceptsecrets(true)
    .setAcceptresources(true)
    .setDependenciesList(request.getDependenciesList())
    .setObject(
      toStruct({
        ...Object.fromEntries(given.flatMap((key) => (inputs[key] === undefined ? [] : [[key, inputs[key]]]))),
        roleArn: "arn:aws:iam::123456789012:role/eks-cluster",
        vpcConfig: {
          subnetIds: subnets as readonly Value[],
          endpointPublicAccess: inputs["endpointPublicAccess"] ?? true,
          endpointPrivateAccess: inputs["endpointPrivateAccess"] ?? false,
          ...(inputs["publicAccessCidrs"] === undefined ? {} : { publicAccessCidrs: inputs["publicAccessCidrs"] }),
        },
      }),
    );
  const provider = request.getProvidersMap().get("aws");
  return provider === undefined ? cluster.setVersion(AWS_VERSION) : cluster.setProvider(provider);
}

/** Of a cluster that is not there yet a preview knows nothing. */
function outputsOf(
  name: string,
  inputs: Properties,
  cluster: Monitor.RegisterResourceResponse,
  made: boolean,
): Properties {
  const eksCluster = resourceReference(cluster.getUrn(), cluster.getId(), AWS_VERSION);
  const { id: _id, ...computed } = computedOutputs(CLUSTER_COMPONENT, name, inputs);
  const subnetIds = [inputs["publicSubnetIds"], inputs["privateSubnetIds"], inputs["subnetIds"]].flatMap(
    (ids) => ids ?? [],
  );
  const { endpoint } = fromStruct(cluster.getObject());
  const all = JSON.parse(
    JSON.stringify({
      ...computed,
      oidcIssuer: "oidc.eks.amazonaws.com/id/X",
      instanceRoles: [],
      core: { endpoint, vpcId: inputs["vpcId"], subnetIds, instanceRoles: [], nodeGroupOptions: {} },
    }),
  ) as Properties;
  if (made) return { ...all, eksCluster, core: { ...(all["core"] as Properties), cluster: eksCluster } };
  return { ...Object.fromEntries(Object.keys(all).map((key) => [key, UNKNOWN])), eksCluster };
}

function register(
  monitor: MonitorService.ResourceMonitorClient,
  request: Monitor.RegisterResourceRequest,
): Promise<Monitor.RegisterResourceResponse> {
  return new Promise((resolve, reject) => {
    monitor.registerResource(request, (error, response) => {
      if (error === null) resolve(response);
      else reject(error);
    });
  });
}

function registerOutputs(
  monitor: MonitorService.ResourceMonitorClient,
  urn: string,
  outputs: Properties,
): Promise<void> {
  const request = new Monitor.RegisterResourceOutputsRequest().setUrn(urn).setOutputs(toStruct(outputs));
  return new Promise((resolve, reject) => {
    monitor.registerResourceOutputs(request, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}
