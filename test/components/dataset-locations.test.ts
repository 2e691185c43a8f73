import { describe, expect, it } from "vitest";
import { datasetLocations } from "../../components/dataset-locations.ts";
import { Faults } from "../../components/faults.ts";

function parsed(...uris: readonly string[]) {
  const faults = new Faults('BatchApi "photos"');
  const locations = datasetLocations("reads", uris, faults);
  faults.throwIfAny();
  return locations;
}

function faultOf(...uris: readonly string[]): string {
  try {
    return `none: ${JSON.stringify(parsed(...uris))}`;
  } catch (error) {
    return (error as Error).message;
  }
}

describe("locations of datasets", () => {
  it("are a bucket and what keys begin with", () => {
    expect(parsed("s3://acme-photos/2026/", "s3://acme-photos/raw/a.csv", "s3://acme.labels/")).toEqual([
      { bucket: "acme-photos", prefix: "2026/" },
      { bucket: "acme-photos", prefix: "raw/a.csv" },
      { bucket: "acme.labels", prefix: "" },
    ]);
    expect(parsed("s3://acme-photos/räume [1]/$5 & more%20/")).toEqual([
      { bucket: "acme-photos", prefix: "räume [1]/$5 & more%20/" },
    ]);
    expect(parsed()).toEqual([]);
  });

  it("are named once: what lies inside another one needs no right of its own", () => {
    const uris = ["s3://a-a-a/2026/05/", "s3://a-a-a/2026/", "s3://b-b-b/2026/", "s3://a-a-a/2026/", "s3://a-a-a/2026"];

    expect(parsed(...uris)).toEqual([
      { bucket: "b-b-b", prefix: "2026/" },
      { bucket: "a-a-a", prefix: "2026" },
    ]);
    expect(parsed("s3://a-a-a/", "s3://a-a-a/")).toEqual([{ bucket: "a-a-a", prefix: "" }]);
  });

  it.each([
    ["", "is empty; write where the objects are: s3://bucket/prefix/"],
    ["2026/", 'is "2026/", which is not in S3; write s3://bucket/prefix/'],
    [
      "https://acme.s3.amazonaws.com/2026/",
      'is "https://acme.s3.amazonaws.com/2026/", which is not in S3; write s3://bucket/prefix/',
    ],
    ["file:///data/", 'is "file:///data/", which is not in S3; write s3://bucket/prefix/'],
    ["arn:aws:s3:::acme/2026/*", 'is "arn:aws:s3:::acme/2026/*", an ARN; write "s3://acme/2026/"'],
    ["s3://", 'is "s3://", which names no bucket; write s3://bucket/prefix/'],
    ["s3:///2026/", 'is "s3:///2026/", which names no bucket; write s3://bucket/prefix/'],
    [
      "s3://Acme/2026/",
      'is "s3://Acme/2026/", and "Acme" is no name of a bucket (a-z, 0-9, "." and "-", 3 to 63 of them); write s3://bucket/prefix/',
    ],
    [
      "s3://*/2026/",
      'is "s3://*/2026/", and "*" is no name of a bucket (a-z, 0-9, "." and "-", 3 to 63 of them); write s3://bucket/prefix/',
    ],
    ["s3://acme", 'is "s3://acme", a bucket alone; write "s3://acme/" for all that is in it, or a prefix of it'],
    [
      "s3://acme/2026/**/*.jpg",
      'is "s3://acme/2026/**/*.jpg", a pattern; a location is a prefix of keys: write "s3://acme/2026/"',
    ],
    ["s3://acme/day-?", 'is "s3://acme/day-?", a pattern; a location is a prefix of keys: write "s3://acme/"'],
    [
      "s3://acme/of-${aws:username}/",
      'is "s3://acme/of-${aws:username}/", in which IAM takes "${" for the beginning of a variable; write a shorter prefix: "s3://acme/of-"',
    ],
    ["s3://acme//2026/", 'is "s3://acme//2026/", a prefix that begins with an empty name; write "s3://acme/2026/"'],
  ])("are refused: %j", (uri, reason) => {
    expect(faultOf("s3://acme/good/", uri)).toBe(`BatchApi "photos": reads[1] ${reason}`);
  });

  it("are refused all at once", () => {
    expect(faultOf("s3://acme", "x")).toMatch(/reads\[0\] .*\n.*reads\[1\] /s);
  });
});
