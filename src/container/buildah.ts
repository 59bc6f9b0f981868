/**
 * buildah with a store of its own below the engine's directories. Names in it are those of images that the engine has too,
 * as if the two were one store: before a build it gets those that the build asks for, and loses those that the engine has
 * given up; what it pulled is the engine's afterwards. All else in it has no name, and serves as the cache of later builds.
 */
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { UserError } from "../base/errors.ts";
import { findProgram } from "../base/programs.ts";
import { fuseProgram } from "../image/fuse-overlay.ts";
import { loadDirectory } from "../image/load.ts";
import { nameMeant } from "../image/reference.ts";
import { saveArchive } from "../image/save.ts";
import type { ImageRecord } from "../image/types.ts";
import type { Paths } from "../state/paths.ts";
import { emptyDirectory } from "../sys/empty-directory.ts";
import { type Lock, lock, tryLock } from "../sys/flock.ts";
import type { Engine } from "./engine.ts";
import { tagImage } from "./images.ts";

/** Exit codes of what a signal ended are 128 and its number. */
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** A build was told to end by a signal. */
export class Interrupted extends Error {
  constructor(readonly exitCode: number) {
    super("the build was interrupted");
  }
}

interface Listed {
  /** `sha256:…` */
  id: string;
  names: string[] | null;
}

const graphOf = (paths: Paths) => resolve(paths.root, "buildah");
const runOf = (paths: Paths) => resolve(paths.runRoot, "buildah");
const findBuildah = () => findProgram("buildah", (process.env.PATH ?? "").split(":"));
/** Held, shared, by whoever builds. */
const lockOf = (paths: Paths) => paths.lock("builds");

export class Buildah {
  readonly #engine: Engine;
  readonly #program: string;
  readonly #options: string[];
  #child: Bun.Subprocess | undefined;
  #interrupted: Interrupted | undefined;

  /** Throws UserError where buildah is not installed. */
  constructor(engine: Engine) {
    const program = findBuildah();
    if (!program)
      throw new UserError("images are built by buildah, which is not installed", {
        hint: "install the package buildah",
      });
    this.#engine = engine;
    this.#program = program;
    const driver = engine.storageDriver;
    this.#options = ["--root", graphOf(engine.paths), "--runroot", runOf(engine.paths)];
    this.#options.push("--storage-driver", driver === "vfs" ? "vfs" : "overlay");
    if (driver === "fuse-overlayfs")
      this.#options.push("--storage-opt", `overlay.mount_program=${fuseProgram()}`);
  }

  /**
   * Has signals that would end us end buildah first, a second one by force: what runs buildah throws `Interrupted` then. So
   * does the promise where buildah is not running; it never resolves.
   */
  heedSignals(): Promise<never> {
    // What was ignored at our start is to be ignored on: nohup(1).
    const mask = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
    return new Promise((_, reject) => {
      for (const [signal, code] of Object.entries(SIGNALS)) {
        if ((BigInt(`0x${mask}`) >> BigInt(code - 129)) & 1n) continue;
        process.on(signal, () => {
          const again = this.#interrupted !== undefined;
          this.#interrupted ??= new Interrupted(code);
          // Whoever waits for it throws once it has ended.
          if (this.#child) this.#child.kill(again ? "SIGKILL" : "SIGTERM");
          else reject(this.#interrupted);
        });
      }
    });
  }

  /** Runs it on our standard streams; gives its exit code. */
  async run(...words: string[]): Promise<number> {
    return (await this.#spawn(words, "inherit")).code;
  }

  async #spawn(words: readonly string[], stdout: "inherit" | "pipe" | "ignore") {
    this.#check();
    const child = Bun.spawn([this.#program, ...this.#options, ...words], {
      stdio: [
        stdout === "inherit" ? "inherit" : "ignore",
        stdout,
        stdout === "ignore" ? "ignore" : "inherit",
      ],
    });
    this.#child = child;
    const text = child.stdout ? await new Response(child.stdout).text() : "";
    const code = await child.exited;
    this.#child = undefined;
    this.#check();
    return { code, text };
  }

  #check(): void {
    if (this.#interrupted) throw this.#interrupted;
  }

  async #list(...words: string[]): Promise<Listed[]> {
    const { code, text } = await this.#spawn(["images", "--json", "--no-trunc", ...words], "pipe");
    if (code !== 0) throw new UserError("buildah's images can't be listed");
    return JSON.parse(text) as Listed[];
  }

  /** Images' names and the ids that they have in buildah's store; none where it has no store yet. */
  async names(): Promise<Map<string, string>> {
    if (!existsSync(graphOf(this.#engine.paths))) return new Map();
    const listed = await this.#list("-a");
    return new Map(listed.flatMap(({ id, names }) => (names ?? []).map(name => [name, id] as const)));
  }

  /** Takes from `names` those under which the engine has another image or none. To be called while nobody else builds. */
  async forget(names: Map<string, string>): Promise<void> {
    for (const [name, id] of names) {
      if (`sha256:${this.#engine.images.find(name)?.id}` === id) continue;
      await this.#spawn(["rmi", name], "ignore");
      names.delete(name);
    }
  }

  /** Options for moving images between the two stores: policy.json has its say when they come from elsewhere. */
  #quietly(scratch: string): string[] {
    const policy = join(scratch, "policy.json");
    writeFileSync(policy, JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] }));
    return ["-q", `--signature-policy=${policy}`];
  }

  /** Gives buildah's store an image of the engine's, under the name that `text` means, and notes it in `names`. */
  async give(image: ImageRecord, text: string, names: Map<string, string>, scratch: string): Promise<void> {
    const name = nameMeant(image, text);
    const id = `sha256:${image.id}`;
    if (name !== undefined && names.get(name) === id) return;
    if (name === undefined && (await this.#spawn(["inspect", "--type=image", image.id], "ignore")).code === 0)
      return;
    const archive = join(scratch, "base.tar");
    const fd = openSync(archive, "wx", 0o600);
    try {
      const saved = { image, names: name === undefined ? [] : [name] };
      await saveArchive(this.#engine.images, [saved], "docker-archive", fd);
    } finally {
      closeSync(fd);
    }
    if (
      (await this.#spawn(["pull", ...this.#quietly(scratch), `docker-archive:${archive}`], "pipe")).code !== 0
    )
      throw new UserError(`buildah does not take the image ${text}`);
    rmSync(archive);
    if (name !== undefined) names.set(name, id);
  }

  /** Has the engine keep an image of buildah's store; its id stays what it is. `id` is `sha256:…`. */
  async take(id: string, scratch: string): Promise<ImageRecord> {
    const { images } = this.#engine;
    const known = images.byId(id.replace("sha256:", ""));
    if (known) return known;
    const directory = join(scratch, "image");
    mkdirSync(directory);
    if (
      (
        await this.#spawn(
          ["push", ...this.#quietly(scratch), id.replace("sha256:", ""), `dir:${directory}`],
          "pipe",
        )
      ).code !== 0
    )
      throw new UserError(`buildah does not give the image ${id}`);
    await loadDirectory(images, directory, "dir");
    rmSync(directory, { recursive: true });
    return images.get(id);
  }

  /** Has the engine keep what a build pulled: what has other names now than `before`. */
  async takeBases(before: ReadonlyMap<string, string>, scratch: string): Promise<void> {
    for (const [name, id] of await this.names()) {
      if (before.get(name) === id) continue;
      const image = await this.take(id, scratch);
      tagImage(this.#engine, image, name);
    }
  }

  /** Removes the working containers of ended builds. To be called while nobody builds. */
  async removeLeftovers(): Promise<void> {
    this.#interrupted = undefined;
    await this.#spawn(["rm", "-a"], "ignore");
  }

  /** Removes the cache of those images that the engine has no longer. To be called while nobody builds. */
  async prune(): Promise<void> {
    await this.removeLeftovers();
    const kept = ({ id }: Listed) => this.#engine.images.byId(id.replace("sha256:", "")) !== undefined;
    await this.forget(await this.names());
    for (const one of await this.#list())
      if (!kept(one)) await this.#spawn(["rmi", one.id.replace("sha256:", "")], "ignore");
  }

  /** Calls `action` unless somebody builds. */
  async whileAlone(action: () => Promise<void>): Promise<void> {
    using alone = tryLock(lockOf(this.#engine.paths));
    if (alone) await action();
  }

  /** To be held while building. */
  hold(): Lock {
    return lock(lockOf(this.#engine.paths), { shared: true });
  }
}

/** Removes the cache of images that are gone; with `all` everything. Does nothing while somebody builds. */
export async function pruneBuilds(engine: Engine, all: boolean): Promise<void> {
  const { paths } = engine;
  if (!existsSync(graphOf(paths))) return;
  if (!all) {
    if (!findBuildah()) return;
    const buildah = new Buildah(engine);
    return await buildah.whileAlone(() => buildah.prune());
  }
  using alone = tryLock(lockOf(paths));
  if (!alone) return;
  for (const directory of [graphOf(paths), runOf(paths)])
    if (existsSync(directory)) {
      emptyDirectory(directory);
      rmSync(directory, { recursive: true, force: true });
    }
}
