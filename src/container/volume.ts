/** Named and anonymous volumes: directories that outlive containers. */
import type { Database } from "bun:sqlite";
import { lstatSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../base/errors.ts";
import type { Paths } from "../state/paths.ts";
import { lchown } from "../sys/file.ts";
import { resolveInRoot } from "./user.ts";

export interface Volume {
  name: string;
  /** Milliseconds since 1970. */
  created: number;
  anonymous: boolean;
  labels: Record<string, string>;
  options: Record<string, string>;
  /** Nothing has been mounted into it yet: the image's content shall be copied first. */
  needsCopyUp: boolean;
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

export class VolumeStore {
  readonly #db: Database;
  readonly #paths: Paths;

  constructor(db: Database, paths: Paths) {
    this.#db = db;
    this.#paths = paths;
  }

  list(): Volume[] {
    return (this.#db.query("SELECT record FROM volume ORDER BY name").all() as { record: string }[]).map(
      row => JSON.parse(row.record) as Volume,
    );
  }

  find(name: string): Volume | undefined {
    const row = this.#db.query("SELECT record FROM volume WHERE name = ?").get(name) as {
      record: string;
    } | null;
    return row ? (JSON.parse(row.record) as Volume) : undefined;
  }

  get(name: string): Volume {
    const volume = this.find(name) ?? this.#byPrefix(name);
    if (!volume)
      throw new UserError(`no volume with name ${JSON.stringify(name)} found: no such volume`, {
        status: 404,
      });
    return volume;
  }

  #byPrefix(prefix: string): Volume | undefined {
    const matches = this.list().filter(volume => prefix !== "" && volume.name.startsWith(prefix));
    if (matches.length > 1)
      throw new UserError(
        `more than one result for volume name ${JSON.stringify(prefix)}: volume name is ambiguous`,
      );
    return matches[0];
  }

  /** The directory that containers see. */
  directory(name: string): string {
    return join(this.#paths.volumes, name, "_data");
  }

  create(name: string, more: Partial<Volume> = {}): Volume {
    if (!NAME.test(name))
      throw new UserError(
        `running volume create option: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument`,
      );
    const volume: Volume = {
      name,
      created: Date.now(),
      anonymous: false,
      labels: {},
      options: {},
      needsCopyUp: true,
      ...more,
    };
    const { changes } = this.#db
      .query("INSERT OR IGNORE INTO volume (name, created, anonymous, record) VALUES (?, ?, ?, ?)")
      .run(name, volume.created, volume.anonymous ? 1 : 0, JSON.stringify(volume));
    if (changes === 0)
      throw new UserError(`volume with name ${name} already exists: volume already exists`, { status: 409 });
    mkdirSync(this.directory(name), { recursive: true, mode: 0o755 });
    return volume;
  }

  /** The volume of that name, made if it is missing. */
  ensure(name: string): Volume {
    return this.find(name) ?? this.create(name);
  }

  remove(name: string): void {
    this.#db.query("DELETE FROM volume WHERE name = ?").run(name);
    rmSync(join(this.#paths.volumes, name), { recursive: true, force: true });
  }

  /**
   * Copies what the image has at `destination` into an empty volume, once, with owner and mode. Where the image has
   * nothing there, the volume is given to the container's user.
   */
  copyUp(
    name: string,
    rootfs: string,
    destination: string,
    { copy, user }: { copy: boolean; user: () => { uid: number; gid: number } },
  ): void {
    const volume = this.find(name);
    if (!volume?.needsCopyUp) return;
    const source = resolveInRoot(rootfs, destination);
    const target = this.directory(name);
    const empty = readdirSync(target).length === 0;
    const facts = lstatSync(source, { throwIfNoEntry: false });
    if (empty && facts?.isDirectory()) {
      if (copy) Bun.spawnSync(["cp", "-a", "--", `${source}/.`, target]);
      lchown(target, facts.uid, facts.gid);
    } else if (empty && !facts) {
      const { uid, gid } = user();
      lchown(target, uid, gid);
    }
    this.#db
      .query("UPDATE volume SET record = ? WHERE name = ?")
      .run(JSON.stringify({ ...volume, needsCopyUp: false }), name);
  }
}

/** Gives a directory and all that is in it to `uid` and `gid`; links themselves, not what they point to. */
export function chownTree(path: string, uid: number, gid: number): void {
  lchown(path, uid, gid);
  if (lstatSync(path).isDirectory())
    for (const name of readdirSync(path)) chownTree(join(path, name), uid, gid);
}
