import { describeDataset } from "../contracts/dataset.contract.ts";
import { MemoryDataset } from "../support/memory-dataset.ts";

describeDataset("the tests' memory", () => {
  const dataset = new MemoryDataset();
  return Promise.resolve({
    dataset,
    uri: (path) => `s3://data/${path}`,
    write: (path, content) => Promise.resolve(void dataset.objects.set(`s3://data/${path}`, Buffer.from(content))),
    remove: (path) => Promise.resolve(void dataset.objects.delete(`s3://data/${path}`)),
    close: () => Promise.resolve(),
  });
});
