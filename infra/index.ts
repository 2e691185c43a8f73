/** What `pulumi up` runs: settings in, the stack's outputs out. Started by `main.mjs`, which any Node can read. */
import * as pulumi from "@pulumi/pulumi";
import { readConfig } from "./config.ts";
import { program } from "./program.ts";

export const outputs = program(readConfig(new pulumi.Config("millrace")));
