/** An engine of a test's own, in throw-away directories, with one image: busybox and its applets. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Container } from "../../src/container/config.ts";
import { createContainer } from "../../src/container/create.ts";
import type { CreateOptions } from "../../src/container/create-options.ts";
import { Engine } from "../../src/container/engine.ts";
import { removeContainer } from "../../src/container/remove.ts";
import { startContainer } from "../../src/container/start.ts";
import { loadArchive } from "../../src/image/load.ts";

export const IMAGE = "localhost/busybox:test";

export class ContainerWorld implements AsyncDisposable {
  readonly directory: string;
  readonly engine: Engine;

  private constructor() {
    this.directory = mkdtempSync(join(tmpdir(), "portolan-containers-"));
    this.engine = Engine.open({ root: join(this.directory, "root"), runRoot: join(this.directory, "run") });
  }

  static async open(): Promise<ContainerWorld> {
    const world = new ContainerWorld();
    const archive = join(world.directory, "busybox.tar");
    buildArchive(world.directory, archive);
    await loadArchive(world.engine.images, archive);
    return world;
  }

  /** A container that runs `command`, without a network unless told otherwise. */
  create(command: string[], options: Partial<CreateOptions> = {}): Promise<Container> {
    return createContainer(this.engine, { image: IMAGE, command, network: ["none"], ...options });
  }

  async run(command: string[], options: Partial<CreateOptions> = {}): Promise<Container> {
    const { config } = await this.create(command, options);
    return startContainer(this.engine, config.id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { config } of this.engine.containers.list())
      await removeContainer(this.engine, config.id, { force: true, volumes: true, time: 0 }).catch(error => {
        // One with --rm may have gone by itself.
        if (error.status !== 404) throw error;
      });
    this.engine.db.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function sh(...words: string[]): void {
  const child = Bun.spawnSync(words, { stderr: "pipe" });
  if (child.exitCode !== 0) throw new Error(`${words.join(" ")}: ${child.stderr.toString()}`);
}

/** A docker-archive(5) of one layer. */
function buildArchive(directory: string, archive: string): void {
  const root = join(directory, "rootfs");
  for (const name of ["bin", "etc", "tmp", "root", "home/user"])
    mkdirSync(join(root, name), { recursive: true });
  cpSync("/bin/busybox", join(root, "bin/busybox"));
  const applets = Bun.spawnSync(["/bin/busybox", "--list"]).stdout.toString().trim().split("\n");
  for (const name of applets) if (name !== "busybox") symlinkSync("busybox", join(root, "bin", name));
  writeFileSync(
    join(root, "etc/passwd"),
    "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
  );
  writeFileSync(join(root, "etc/group"), "root:x:0:\nuser:x:1000:\nstaff:x:50:user\n");
  const image = join(directory, "image");
  mkdirSync(image);
  sh("tar", "-C", root, "-cf", join(image, "layer.tar"), ".");
  const diffId = new Bun.CryptoHasher("sha256").update(readFileSync(join(image, "layer.tar"))).digest("hex");
  writeFileSync(
    join(image, "config.json"),
    JSON.stringify({
      architecture: "amd64",
      os: "linux",
      created: "2024-01-01T00:00:00Z",
      config: { Env: ["PATH=/bin"], Cmd: ["sh"] },
      rootfs: { type: "layers", diff_ids: [`sha256:${diffId}`] },
      history: [{ created: "2024-01-01T00:00:00Z" }],
    }),
  );
  writeFileSync(
    join(image, "manifest.json"),
    JSON.stringify([{ Config: "config.json", RepoTags: [IMAGE], Layers: ["layer.tar"] }]),
  );
  sh("tar", "-C", image, "-cf", archive, "manifest.json", "config.json", "layer.tar");
  rmSync(root, { recursive: true, force: true });
}
