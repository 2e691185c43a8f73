/** A certificate authority for one test cluster, and what it signs. Uses the openssl command, 3.0 or newer. */
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const DAYS = "7";
const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

export type CertificateRequest = {
  /** Name of its files. */
  readonly name: string;
  /** Who it speaks for: `/O=<group>/CN=<user>`. */
  readonly subject: string;
} & ({ readonly use: "client" } | { readonly use: "server"; readonly alternativeNames: readonly string[] });

export class CertificateAuthority {
  readonly certificate: string;
  private readonly folder: string;
  private readonly key: string;
  private readonly settings: string;

  private constructor(folder: string) {
    this.folder = folder;
    this.certificate = join(folder, "ca.crt");
    this.key = join(folder, "ca.key");
    this.settings = join(folder, "openssl.cnf");
  }

  static async create(folder: string): Promise<CertificateAuthority> {
    const authority = new CertificateAuthority(folder);
    // nothing from the machine's own settings
    writeFileSync(authority.settings, "[req]\ndistinguished_name = dn\n[dn]\n");
    await authority.openssl("/CN=test-cluster", authority.certificate, authority.key, [
      "basicConstraints=critical,CA:TRUE",
      "keyUsage=critical,keyCertSign,digitalSignature",
      "subjectKeyIdentifier=hash",
    ]);
    return authority;
  }

  async issue(request: CertificateRequest): Promise<CertificateFiles> {
    const files = {
      certificate: join(this.folder, `${request.name}.crt`),
      key: join(this.folder, `${request.name}.key`),
    };
    const extensions =
      request.use === "client"
        ? ["extendedKeyUsage=clientAuth"]
        : ["extendedKeyUsage=serverAuth", `subjectAltName=${request.alternativeNames.join(",")}`];
    const signer = ["-CA", this.certificate, "-CAkey", this.key];
    await this.openssl(
      request.subject,
      files.certificate,
      files.key,
      ["basicConstraints=CA:FALSE", ...extensions],
      signer,
    );
    return files;
  }

  /** What a client is told, in base64, to trust this authority. */
  trust(): string {
    return readFileSync(this.certificate).toString("base64");
  }

  private async openssl(
    subject: string,
    certificate: string,
    key: string,
    extensions: readonly string[],
    signer: readonly string[] = [],
  ): Promise<void> {
    const added = extensions.flatMap((extension) => ["-addext", extension]);
    const output = ["-keyout", key, "-out", certificate];
    await run("openssl", [
      ...["req", "-x509", "-config", this.settings, "-subj", subject, "-days", DAYS],
      ...[...NEW_KEY, ...signer, ...added, ...output],
    ]);
  }
}
