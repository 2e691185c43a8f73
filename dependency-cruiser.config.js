// Imports go one way: protocol <- project <- backends <- {batch-api, worker} <- cli; components -> {protocol, project};
// infra -> components.
const places =
  "^(services/protocol|services/project|services/backends|services/batch-api|services/worker|cli|components|infra|scripts|bench|examples)/";

/**
 * A rule by what a place may import: all other places of the repository are forbidden to it. Packages are not its matter.
 *
 * @param {string} place
 * @param {string[]} mayImport
 */
function mayImportOnly(place, mayImport) {
  return {
    name: `${place} imports only ${mayImport.length === 0 ? "itself" : mayImport.join(", ")}`,
    severity: "error",
    from: { path: `^${place}/` },
    to: { path: places, pathNot: [place, ...mayImport].map((allowed) => `^${allowed}/`) },
  };
}

export default {
  forbidden: [
    mayImportOnly("services/protocol", []),
    mayImportOnly("services/project", ["services/protocol"]),
    mayImportOnly("services/backends", ["services/protocol", "services/project"]),
    mayImportOnly("services/batch-api", ["services/protocol", "services/project", "services/backends"]),
    mayImportOnly("services/worker", ["services/protocol", "services/project", "services/backends"]),
    mayImportOnly("cli", ["services"]),
    mayImportOnly("components", ["services/protocol", "services/project"]),
    mayImportOnly("infra", ["components", "services/protocol"]),
    {
      name: "nothing imports tests",
      severity: "error",
      from: { pathNot: "^test/" },
      to: { path: "^test/" },
    },
    {
      name: "no cycles",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "protocol does no I/O",
      severity: "error",
      from: { path: "^services/protocol/" },
      to: {
        dependencyTypes: ["core"],
        // crypto hashes, buffer and util types are pure; everything else of Node reaches outside
        pathNot: "^(node:)?(crypto|buffer|util|assert|path/posix)$",
      },
    },
    {
      name: "a project is read from its folder, and nothing else is",
      severity: "error",
      from: { path: "^services/project/", pathNot: "^services/project/project-folder\\.ts$" },
      to: {
        dependencyTypes: ["core"],
        pathNot: "^(node:)?(crypto|buffer|util|zlib|path/posix)$",
      },
    },
    {
      name: "a project needs no cloud",
      severity: "error",
      from: { path: "^services/(project|protocol)/" },
      to: { path: "node_modules/(@aws-sdk|@kubernetes|fastify)/", dependencyTypesNot: ["type-only"] },
    },
    {
      name: "services never see Pulumi",
      severity: "error",
      from: { path: "^(services|cli)/" },
      to: { path: "^(node_modules/)?@pulumi/" },
    },
    {
      name: "the policy simulator is for tests alone: its licence is the AGPL",
      severity: "error",
      from: { pathNot: "^test/" },
      to: { path: "@cloud-copilot/" },
    },
    {
      name: "every import resolves",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: "running needs no development package",
      severity: "error",
      from: { path: "^(services|cli)/", pathNot: "\\.d\\.ts$" },
      to: { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["type-only"] },
    },
  ],
  options: {
    includeOnly: {
      path: "^(services|cli|components|infra|scripts|bench|examples|test|node_modules|node:|@pulumi|[^/]+$)",
    },
    exclude: { path: "(^|/)(\\.venv|\\.cache|\\.millrace|coverage)/" },
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true, // type imports count: a cycle of types is a cycle to the reader
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
      mainFields: ["module", "main", "types"],
    },
  },
};
