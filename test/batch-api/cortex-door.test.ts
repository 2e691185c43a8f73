import { describe, expect, it } from "vitest";
import { LIMITS } from "../../services/protocol/limits.ts";
import { Problem } from "../../services/protocol/problems.ts";
import { anApp } from "../support/an-app.ts";
import type { TestApp } from "../support/an-app.ts";

const QUEUE = "arn:aws:sqs:eu-west-1:123456789012:failed";
const ITEMS = '"item_list":{"items":[1],"batch_size":1}';
const LISTER = (fields: string) => `{"workers":1,"file_path_lister":{"batch_size":1${fields}}}`;
const AT_LEAST = "configreader.must_be_greater_than_or_equal_to";

interface CortexError {
  readonly kind: string;
  readonly message: string;
}

function post({ app }: TestApp, payload: string | Buffer, url = "/digits") {
  return app.inject({ method: "POST", url, payload });
}

describe("wrong submissions at the Cortex door (contract B.3, in its order)", () => {
  it.each([
    ["no body", "", "error", "EOF"],
    ["no JSON", "{", "error", "invalid JSON"],
    ["a list", "[]", "error", "cannot unmarshal array into Go value"],
    [
      "workers as text",
      `{"workers":"1",${ITEMS}}`,
      "error",
      "cannot unmarshal string into Go struct field BatchJobSubmission.workers",
    ],
    ["half a worker", `{"workers":1.5,${ITEMS}}`, "error", "of type int"],
    ["config as list", `{"workers":1,"config":[],${ITEMS}}`, "error", "BatchJobSubmission.config"],
    ["null", "null", "job.specify_exactly_one_key", "item_list, file_path_lister, delimited_files"],
    ["no input", "{}", "job.specify_exactly_one_key", "item_list, file_path_lister, delimited_files"],
    ["an input of null", '{"item_list":null}', "job.specify_exactly_one_key", "exactly one"],
    ["two inputs", `{${ITEMS},"delimited_files":{}}`, "job.conflicting_fields", "item_list, delimited_files"],
    ["no items", '{"item_list":{"items":[]}}', "configreader.too_few_elements", "items: must contain"],
    ["items of null", '{"item_list":{"items":null}}', "configreader.too_few_elements", "items: must contain"],
    ["no batch_size", '{"item_list":{"items":[1]}}', AT_LEAST, "item_list: batch_size: 0 must be"],
    [
      "a batch_size of -1",
      '{"file_path_lister":{"batch_size":-1}}',
      AT_LEAST,
      "file_path_lister: batch_size: -1 must be",
    ],
    ["no workers", `{${ITEMS}}`, AT_LEAST, "workers: 0 must be"],
    ["no workers and no paths", '{"delimited_files":{"batch_size":1}}', AT_LEAST, "workers: 0 must be"],
    ["a timeout of 0", `{"workers":1,"timeout":0,${ITEMS}}`, AT_LEAST, "timeout: 0 must be"],
    [
      "a queue without arn",
      `{"workers":1,"sqs_dead_letter_queue":{},${ITEMS}}`,
      "configreader.cannot_be_empty",
      "sqs_dead_letter_queue: arn: cannot be empty",
    ],
    [
      "a queue without count",
      `{"workers":1,"sqs_dead_letter_queue":{"arn":"a"},${ITEMS}}`,
      AT_LEAST,
      "sqs_dead_letter_queue: max_receive_count: 0",
    ],
    [
      "a queue that is no ARN",
      `{"workers":1,"sqs_dead_letter_queue":{"arn":"https://sqs.eu-west-1.amazonaws.com/1/q","max_receive_count":1},${ITEMS}}`,
      "error",
      "sqs_dead_letter_queue: arn: this is no ARN of an SQS queue; give one like arn:aws:sqs:",
    ],
    ["no paths", LISTER(""), "configreader.too_few_elements", "file_path_lister: s3_paths: must contain"],
  ])("%s", async (_, payload, kind, message) => {
    const test = await anApp();

    const answer = await post(test, payload);

    expect(answer.statusCode).toBe(400);
    const told = answer.json<CortexError>();
    expect(told.kind).toBe(kind);
    expect(told.message).toContain(message);
    expect(Object.keys(told)).toEqual(["kind", "message"]);
    expect(test.jobs.submissions).toEqual([]);
  });

  it("tells of an unknown API before it reads the body", async () => {
    const answer = await post(await anApp(), "{", "/nobody");

    expect(answer.json()).toEqual({ kind: "resources.api_not_deployed", message: "nobody is not deployed" });
  });

  it("tells of a body above 10 MiB in Go's words", async () => {
    const answer = await post(await anApp(), Buffer.alloc(LIMITS.requestBytesMax + 1, 0x20));

    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toEqual({ kind: "error", message: "http: request body too large" });
  });

  it.each([
    ["source_bad_path", "aws.invalid_s3_path"],
    ["source_no_match", "batchapi.no_s3_files_found"],
    ["source_bad_glob", "error"],
    ["internal", "error"],
  ] as const)("tells of %s as %s", async (code, kind) => {
    const test = await anApp();
    test.jobs.refusal = new Problem(code, "What is wrong.");

    const answer = await post(test, LISTER(',"s3_paths":["x"]'));

    expect([answer.statusCode, answer.json()]).toEqual([400, { kind, message: "What is wrong." }]);
  });

  it("spells kinds as the API's own version did", async () => {
    const test = await anApp();
    test.apis.add("older", "0.25");

    const told = (await post(test, "{}", "/older")).json<CortexError>();

    expect(told.kind).toBe("batchapi.specify_exactly_one_key");
  });
});

describe("submissions at the Cortex door", () => {
  it("are read as leniently as Go did", async () => {
    const test = await anApp();
    const payload =
      '{"Workers":3,"retries":1,"TIMEOUT":null,"Item_List":{"ITEMS":[12345678901234567890],"batch_size":2,"x":1}}';

    const answer = await post(test, payload, "/batch/digits");

    expect(answer.statusCode).toBe(200);
    const [sent] = test.jobs.submissions;
    expect(sent?.submission).toMatchObject({ workers: 3, timeoutSeconds: null });
    const input = sent?.submission.input;
    expect(input?.kind === "item_list" && input.items.map(String)).toEqual(["12345678901234567890"]);
    expect(sent?.options.warnings).toEqual([
      "The field retries is not known and was ignored.",
      "The field item_list.x is not known and was ignored.",
    ]);
  });

  it("are answered by the job's spec", async () => {
    const answer = await post(await anApp(), `{"workers":2,"timeout":60,${ITEMS}}`);

    expect(answer.json()).toEqual({
      job_id: "6d00000000000000",
      api_name: "digits",
      kind: "BatchAPI",
      workers: 2,
      config: null,
      timeout: 60,
      sqs_dead_letter_queue: null,
      api_id: "v1",
      sqs_url: "",
      start_time: "2026-01-02T03:04:05.000Z",
      created_time: "2026-01-02T03:04:05.000Z",
    });
  });

  it("keep a dead letter queue, with at most 30 attempts", async () => {
    const test = await anApp();

    await post(test, `{"workers":1,"sqs_dead_letter_queue":{"arn":"${QUEUE}","max_receive_count":100},${ITEMS}}`);

    expect(test.jobs.submissions[0]?.submission.deadLetterQueue).toEqual({ arn: QUEUE, maxReceiveCount: 30 });
    expect(test.jobs.submissions[0]?.options.warnings).toHaveLength(1);
  });

  it.each(["1", "t", "T", "TRUE", "true", "True"])("are only checked when dryRun is %s", async (word) => {
    const test = await anApp();

    const answer = await post(test, LISTER(',"s3_paths":["s3://b/a","s3://b/c"]'), `/digits?dryRun=${word}`);

    expect(answer.headers["content-type"]).toContain("text/plain");
    expect(answer.body).toBe("s3://b/a\ns3://b/c\nvalidations passed");
    expect(test.jobs.submissions).toEqual([]);
  });

  it("are submitted when dryRun is no word of truth", async () => {
    const test = await anApp();

    await post(test, `{"workers":1,${ITEMS}}`, "/digits?dryRun=yes");

    expect(test.jobs.submissions).toHaveLength(1);
  });

  it("are told wrong in plain text by a dry run, but for what is no JSON", async () => {
    const test = await anApp();

    const rule = await post(test, "{}", "/digits?dryRun=true");
    const broken = await post(test, "{", "/digits?dryRun=true");
    const items = await post(test, `{"workers":1,${ITEMS}}`, "/digits?dryRun=true");

    expect([rule.statusCode, rule.headers["content-type"]]).toEqual([400, "text/plain"]);
    expect(rule.body).toMatch(/^\nspecify exactly one.*\n$/s);
    expect(broken.json<CortexError>().kind).toBe("error");
    expect(items.body).toBe("validations passed");
  });
});
