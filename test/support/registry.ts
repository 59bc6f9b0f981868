/** Debian's docker-registry for a test: on a loopback port, over a directory of its own, gone when the test ends. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./await.ts";

export interface RegistryOptions {
  /** Basic authentication by these names and passwords. */
  users?: Record<string, string>;
  /** Docker's token authentication: where tokens are had, and the PEM certificate of their signer. */
  token?: { realm: string; service: string; issuer: string; certificate: string };
  /** PEM files, for HTTPS. */
  tls?: { certificate: string; key: string };
}

export class TestRegistry implements AsyncDisposable {
  private constructor(
    private readonly child: Bun.Subprocess,
    private readonly directory: string,
    /** `127.0.0.1:PORT`. */
    readonly address: string,
  ) {}

  static async start(options: RegistryOptions = {}): Promise<TestRegistry> {
    const directory = mkdtempSync(join(tmpdir(), "portolan-registry-"));
    const address = `127.0.0.1:${await freePort()}`;
    const config: Record<string, unknown> = {
      version: 0.1,
      log: { level: "error", accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(directory, "data") }, delete: { enabled: true } },
      http: { addr: address, ...(options.tls && { tls: options.tls }) },
    };
    if (options.users) {
      const path = join(directory, "htpasswd");
      const lines = Object.entries(options.users).map(
        ([name, password]) => `${name}:${Bun.password.hashSync(password, { algorithm: "bcrypt", cost: 4 })}`,
      );
      writeFileSync(path, `${lines.join("\n")}\n`);
      config.auth = { htpasswd: { realm: "test", path } };
    }
    if (options.token) {
      const { certificate, ...rest } = options.token;
      const rootcertbundle = join(directory, "tokens.pem");
      writeFileSync(rootcertbundle, certificate);
      config.auth = { token: { ...rest, rootcertbundle } };
    }
    // YAML takes JSON.
    writeFileSync(join(directory, "config.yml"), JSON.stringify(config));
    const child = Bun.spawn(["docker-registry", "serve", join(directory, "config.yml")], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: Bun.file(join(directory, "log")),
    });
    const registry = new TestRegistry(child, directory, address);
    const url = `${options.tls ? "https" : "http"}://${address}/v2/`;
    try {
      await until(
        () =>
          fetch(url, { tls: { rejectUnauthorized: false } }).then(
            response => response.status === 200 || response.status === 401,
            () => false,
          ),
        () => `docker-registry at ${address} does not answer`,
      );
    } catch (error) {
      await registry[Symbol.asyncDispose]();
      throw error;
    }
    return registry;
  }

  /** Puts the image of a docker-archive, or of another place that skopeo knows, into the registry. */
  push(source: string, name: string, ...options: string[]): void {
    skopeo("copy", "--dest-tls-verify=false", ...options, source, `docker://${this.address}/${name}`);
  }

  /** Puts a blob into a repository, as OCI's distribution-spec has it. */
  async putBlob(repository: string, digest: string, data: Uint8Array, authorization = ""): Promise<void> {
    const headers = { Authorization: authorization };
    const start = `http://${this.address}/v2/${repository}/blobs/uploads/`;
    const begun = await fetch(start, { method: "POST", headers });
    const place = new URL(begun.headers.get("location") ?? "", start);
    place.searchParams.set("digest", digest);
    const put = await fetch(place, { method: "PUT", headers, body: data });
    if (put.status !== 201) throw new Error(`${put.url}: ${put.status} ${await put.text()}`);
  }

  /** Puts a manifest or an index under a tag or a digest. */
  async putManifest(
    repository: string,
    name: string,
    data: Uint8Array,
    type: string,
    authorization = "",
  ): Promise<void> {
    const put = await fetch(`http://${this.address}/v2/${repository}/manifests/${name}`, {
      method: "PUT",
      headers: { Authorization: authorization, "Content-Type": type },
      body: data,
    });
    if (put.status !== 201) throw new Error(`${put.url}: ${put.status} ${await put.text()}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.child.exited;
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Runs skopeo; throws with what it says when it fails. */
export function skopeo(...args: string[]): string {
  const child = Bun.spawnSync(["skopeo", "--insecure-policy", ...args], { stdout: "pipe", stderr: "pipe" });
  if (child.exitCode !== 0) throw new Error(`skopeo ${args.join(" ")}: ${child.stderr.toString()}`);
  return child.stdout.toString();
}

/** A TCP port of the loopback address that nobody has at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise(resolve => server.close(resolve));
  return port;
}
