import js from "@eslint/js";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

const pureReason = "services/protocol is pure: no I/O, no clock, no chance, no environment. Take it as an argument.";
const injectedReason =
  "Clocks, timers, chance and ids are arguments; only services/backends implements them, and main.ts picks.";
const outsideReason =
  "Files, network and processes are arguments; only services/backends, a main.ts and the few files listed in eslint.config.js reach them.";
const environmentReason = "Only a main.ts reads the environment, and only a main.ts may exit.";

/** Calls whose answer is another each time, and what waits on the real clock. @type {import("eslint").Linter.RuleEntry} */
const noClockNorChance = [
  "error",
  { selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']", message: injectedReason },
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: injectedReason },
  { selector: "CallExpression[callee.name='Date']", message: injectedReason },
  { selector: "MemberExpression[object.name='Math'][property.name='random']", message: injectedReason },
  {
    selector: "MemberExpression[object.name='performance'][property.name=/^(now|timeOrigin)$/]",
    message: injectedReason,
  },
  { selector: "MemberExpression[object.name='process'][property.name='hrtime']", message: injectedReason },
  { selector: "CallExpression[callee.name=/^(setTimeout|setInterval|setImmediate)$/]", message: injectedReason },
  { selector: "MemberExpression[object.name='AbortSignal'][property.name='timeout']", message: injectedReason },
  { selector: "MemberExpression[property.name='randomUUID']", message: injectedReason },
  { selector: "CallExpression[callee.name=/^random(UUID|Bytes|Int|Fill|FillSync)$/]", message: injectedReason },
  { selector: "MemberExpression[property.name=/^(getRandomValues|randomBytes|randomInt)$/]", message: injectedReason },
  { selector: "ImportDeclaration[source.value=/^(node:)?timers(\\u002Fpromises)?$/]", message: injectedReason },
];

/** What reaches out of the process. Types may be named anywhere. @type {import("eslint").Linter.RuleEntry} */
const noOutside = [
  "error",
  {
    patterns: [
      {
        regex:
          "^(node:)?(fs|net|http|http2|https|tls|dgram|dns|child_process|cluster|worker_threads|timers|readline|sqlite)(/|$)",
        allowTypeImports: true,
        message: outsideReason,
      },
      { regex: "^(node:)?crypto$", importNamePattern: "^(random|webcrypto|getRandomValues)", message: injectedReason },
    ],
  },
];

/** Files outside services/backends that reach out of the process, and why each one may. */
const outsideAllowed = [
  "services/project/project-folder.ts", // reads the folder of a handler project that it is told, and nothing else
  "services/batch-api/laptop.ts", // a main.ts' other half: it makes the root and builds the embedded backends
  "services/batch-api/auth/key-file.ts", // keys that an operator hands in as a file, read again when it changes
  "services/batch-api/auth/issuer-keys.ts", // an identity provider's keys come over the network
  "services/batch-api/auth/networks.ts", // node:net's BlockList is arithmetic on addresses
  "services/worker/job-files.ts", // lays the project out in the scratch folder
  "services/worker/job-file.ts", // hands the job to containers as a file
  "services/worker/build-environment.ts", // a builder's own termination message
  "services/worker/handlers/child.ts", // starts handler processes
  "services/worker/handlers/container-gate.ts", // speaks to containers in the same pod
  "services/worker/handlers/handler.container.ts", // the same
];

/** @type {import("eslint").Linter.RuleEntry} */
const noEnvironment = [
  "error",
  { object: "process", property: "env", message: environmentReason },
  { object: "process", property: "exit", message: environmentReason },
  { object: "process", property: "argv", message: environmentReason },
];

export default defineConfig(
  globalIgnores([
    "**/node_modules/",
    "dist/",
    ".venv/",
    ".cache/",
    ".millrace/",
    "coverage/",
    "**/fixtures/",
    "**/golden/",
  ]),
  js.configs.recommended,
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
      "@typescript-eslint/consistent-type-exports": "error",
      // `{ kind, ...rest }` is how a field is left out
      "@typescript-eslint/no-unused-vars": ["error", { ignoreRestSiblings: true, argsIgnorePattern: "^_" }],
      // an implementation of a seam may answer at once where its interface promises a Promise
      "@typescript-eslint/require-await": "off",
      // one idea, one name: `type` and `interface` each where they read better is not a matter for a rule
      "@typescript-eslint/consistent-type-definitions": "off",
      // `return refuse(…)` leaves early in one line, also where the other ends of the function answer something
      "@typescript-eslint/no-confusing-void-expression": "off",
      // body["batch_size"]: brackets say that the key is the wire's and not yet checked
      "@typescript-eslint/dot-notation": ["error", { allowIndexSignaturePropertyAccess: true }],
      // the Kubernetes client's classes are plain records: a literal of their shape is what its API takes
      "@typescript-eslint/no-unsafe-class-instance-assignment": "off",
      // a reader of stored records is told at the call which record it reads
      "@typescript-eslint/no-unnecessary-type-parameters": "off",
      "no-console": "error",
      eqeqeq: "error",
      "no-empty": ["error", { allowEmptyCatch: false }],
    },
  },
  {
    files: ["services/**/*.ts"],
    ignores: ["services/backends/**/*.*.ts", "services/backends/*/**", "services/*/main.ts"],
    rules: { "no-restricted-syntax": noClockNorChance, "no-restricted-properties": noEnvironment },
  },
  {
    files: ["services/{project,batch-api,worker}/**/*.ts"],
    ignores: ["services/*/main.ts", ...outsideAllowed],
    rules: {
      "@typescript-eslint/no-restricted-imports": noOutside,
      "no-restricted-globals": [
        "error",
        { name: "fetch", message: outsideReason },
        { name: "crypto", message: injectedReason },
      ],
    },
  },
  {
    // implementations of the seams own clocks and timers, but not the environment
    files: ["services/backends/**/*.ts"],
    rules: { "no-restricted-properties": noEnvironment },
  },
  {
    files: ["services/protocol/**/*.ts"],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              regex:
                "^(node:)?(fs|net|http|http2|https|tls|dgram|dns|child_process|cluster|worker_threads|os|process|timers|readline|sqlite)(/|$)",
              message: pureReason,
            },
          ],
        },
      ],
      "no-restricted-globals": [
        "error",
        { name: "process", message: pureReason },
        { name: "fetch", message: pureReason },
      ],
    },
  },
  {
    files: ["test/**/*.ts"],
    rules: {
      // arrange by hand: an empty function is a fake that does nothing
      "@typescript-eslint/no-empty-function": "off",
      // vitest's matchers take methods
      "@typescript-eslint/unbound-method": "off",
    },
  },
  {
    files: ["**/*.js", "**/*.mjs"],
    languageOptions: { globals: { process: "readonly" } },
    rules: { "no-undef": "off" },
  },
);
