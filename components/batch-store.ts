/** Where everything durable lives: jobs, ledgers, results, and the code of every API. */
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { Faults } from "./faults.ts";
import { ownTags, type Tags } from "./tags.ts";

export interface BatchStoreArgs {
  /** A bucket that there is already; default: one is created. */
  readonly existing?: ExistingBucket;
  /**
   * Key of your own that encrypts what is written (a KMS key's ARN). Default: keys that S3 manages (SSE-S3). Every service,
   * worker and builder gets the right to use it.
   */
  readonly kmsKeyArn?: pulumi.Input<string>;
  /** `pulumi destroy` removes the bucket with all jobs and results in it; default false: a bucket with objects stays. */
  readonly forceDestroy?: boolean;
  readonly tags?: Tags;
}

/** A bucket of yours. Nothing of it is changed but what you allow here. */
export interface ExistingBucket {
  readonly bucketName: pulumi.Input<string>;
  /**
   * True: its lifecycle rules are declared here, which replaces all others of that bucket: leftovers of uploads go after a day,
   * and so do old versions of objects. Appends rewrite objects, so a bucket with versions grows without this. Default false.
   */
  readonly manageLifecycle?: boolean;
}

/** Nothing else expires: a ledger that vanished is work that was lost, and code may be what a waiting job needs. */
const LEFTOVERS_DAYS = 1;

/**
 * The store of a team's batch APIs. Declare it apart from the cluster: jobs, results and code outlive that.
 *
 *     const store = new BatchStore("store");
 *
 * Owns the bucket: private, encrypted, reached by TLS alone, without versions (appends rewrite objects, so that each would
 * leave one behind), with one lifecycle rule that removes what interrupted uploads left.
 */
export class BatchStore extends pulumi.ComponentResource {
  readonly bucketName: pulumi.Output<string>;
  readonly bucketArn: pulumi.Output<string>;
  /** The key given in `kmsKeyArn`. */
  readonly kmsKeyArn: pulumi.Output<string> | undefined;

  constructor(name: string, args: BatchStoreArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    checkArgs(name, args);
    super("millrace:index:BatchStore", name, {}, opts);
    const tags = ownTags("BatchStore", name, args.tags);
    this.kmsKeyArn = args.kmsKeyArn === undefined ? undefined : pulumi.output(args.kmsKeyArn);
    if (args.existing === undefined) {
      const bucket = new aws.s3.Bucket(
        `${name}-bucket`,
        { forceDestroy: args.forceDestroy ?? false, tags },
        { parent: this },
      );
      this.bucketName = bucket.bucket;
      this.bucketArn = bucket.arn;
      this.#lock(name, bucket, args.kmsKeyArn);
      this.#tidy(name, bucket.bucket, "LeftoversOnly");
    } else {
      const { bucketName, manageLifecycle = false } = args.existing;
      const { partition } = aws.getPartitionOutput({}, { parent: this });
      this.bucketName = pulumi.output(bucketName);
      this.bucketArn = pulumi.interpolate`arn:${partition}:s3:::${bucketName}`;
      if (manageLifecycle) this.#tidy(name, this.bucketName, "OldVersionsToo");
    }
    this.registerOutputs({ bucketName: this.bucketName });
  }

  #lock(name: string, { bucket, arn }: aws.s3.Bucket, kmsKeyArn: pulumi.Input<string> | undefined): void {
    const options = { parent: this };
    const noAcls = new aws.s3.BucketOwnershipControls(
      `${name}-ownership`,
      { bucket, rule: { objectOwnership: "BucketOwnerEnforced" } },
      options,
    );
    const notPublic = new aws.s3.BucketPublicAccessBlock(
      `${name}-public-access`,
      { bucket, blockPublicAcls: true, blockPublicPolicy: true, ignorePublicAcls: true, restrictPublicBuckets: true },
      options,
    );
    const encryption =
      kmsKeyArn === undefined ? { sseAlgorithm: "AES256" } : { sseAlgorithm: "aws:kms", kmsMasterKeyId: kmsKeyArn };
    new aws.s3.BucketServerSideEncryptionConfiguration(
      `${name}-encryption`,
      {
        bucket,
        rules: [{ applyServerSideEncryptionByDefault: encryption, bucketKeyEnabled: kmsKeyArn !== undefined }],
      },
      options,
    );
    new aws.s3.BucketPolicy(
      `${name}-policy`,
      { bucket, policy: onlyByTls(arn) },
      // S3 refuses two changes of a bucket's access at once
      { parent: this, dependsOn: [noAcls, notPublic] },
    );
  }

  #tidy(name: string, bucket: pulumi.Output<string>, what: "LeftoversOnly" | "OldVersionsToo"): void {
    const rules = [
      {
        id: "abort-interrupted-uploads",
        status: "Enabled",
        filter: {},
        abortIncompleteMultipartUpload: { daysAfterInitiation: LEFTOVERS_DAYS },
      },
      ...(what === "LeftoversOnly"
        ? []
        : [
            {
              id: "expire-old-versions",
              status: "Enabled",
              filter: { prefix: "apis/" },
              noncurrentVersionExpiration: { noncurrentDays: LEFTOVERS_DAYS },
            },
          ]),
    ];
    new aws.s3.BucketLifecycleConfiguration(`${name}-lifecycle`, { bucket, rules }, { parent: this });
  }
}

function checkArgs(name: string, { existing, forceDestroy }: BatchStoreArgs): void {
  const faults = new Faults(`BatchStore "${name}"`);
  if (existing !== undefined && forceDestroy !== undefined) {
    faults.add("forceDestroy", "is for a bucket that is created here; leave it out beside `existing`");
  }
  if (typeof existing?.bucketName === "string" && !/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(existing.bucketName)) {
    faults.add("existing.bucketName", "is no name of a bucket; write the name alone, without s3:// or a path");
  }
  faults.throwIfAny();
}

function onlyByTls(bucketArn: pulumi.Output<string>): pulumi.Output<string> {
  return pulumi.jsonStringify({
    Version: "2012-10-17",
    Statement: [
      {
        Sid: "OnlyByTls",
        Effect: "Deny",
        Principal: "*",
        Action: "s3:*",
        Resource: [bucketArn, pulumi.interpolate`${bucketArn}/*`],
        Condition: { Bool: { "aws:SecureTransport": "false" } },
      },
    ],
  });
}
