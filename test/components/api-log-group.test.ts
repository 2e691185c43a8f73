import { describe, expect, it } from "vitest";
import { ApiLogGroup } from "../../components/api-log-group.ts";
import { render } from "./support/render.ts";

const GROUP = "aws:cloudwatch/logGroup:LogGroup";

describe("ApiLogGroup", () => {
  it("keeps lines for 30 days, or as long as it is told", async () => {
    const stack = await render(() => {
      new ApiLogGroup("words");
      new ApiLogGroup("images", { retentionDays: 7, kmsKeyArn: "arn:aws:kms:x:1:key/k" });
    });

    expect(stack.one(GROUP, "words-logs").inputs).toEqual({
      retentionInDays: 30,
      tags: { "millrace:component": "ApiLogGroup", "millrace:name": "words" },
    });
    expect(stack.one(GROUP, "images-logs").inputs).toMatchObject({
      retentionInDays: 7,
      kmsKeyId: "arn:aws:kms:x:1:key/k",
    });
  });

  it("refuses a retention that CloudWatch Logs does not take, and names the next one", async () => {
    await expect(render(() => new ApiLogGroup("words", { retentionDays: 10 }))).rejects.toThrow(
      'ApiLogGroup "words": retentionDays is 10, which CloudWatch Logs does not take; write 14, or another of 1, 3, 5,',
    );
  });
});
