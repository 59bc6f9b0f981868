/** Containers in the database, and their locks. */
import type { Database } from "bun:sqlite";
import { UserError } from "../base/errors.ts";
import type { Paths } from "../state/paths.ts";
import { type Lock, type LockOptions, lock, tryLock } from "../sys/flock.ts";
import type { Container, ContainerConfig, ContainerState, Phase } from "./config.ts";

interface Row {
  phase: Phase;
  config: string;
  state: string;
}

const parse = (row: Row): Container => ({
  config: JSON.parse(row.config) as ContainerConfig,
  phase: row.phase,
  state: JSON.parse(row.state) as ContainerState,
});

export class ContainerStore {
  readonly #db: Database;
  readonly #paths: Paths;

  constructor(db: Database, paths: Paths) {
    this.#db = db;
    this.#paths = paths;
  }

  /** Newest first. */
  list(): Container[] {
    return (
      this.#db.query("SELECT phase, config, state FROM container ORDER BY created DESC").all() as Row[]
    ).map(parse);
  }

  /** Whose network a container has: another's that it shares, or its own. */
  networkOwner(container: Container): Container {
    const { network } = container.config;
    return (network.kind === "container" && this.byId(network.id)) || container;
  }

  /** Those of a pod, oldest first. */
  ofPod(pod: string): Container[] {
    return (
      this.#db
        .query(
          "SELECT phase, config, state FROM container WHERE config ->> 'pod' = ? ORDER BY created, rowid",
        )
        .all(pod) as Row[]
    ).map(parse);
  }

  byId(id: string): Container | undefined {
    const row = this.#db
      .query("SELECT phase, config, state FROM container WHERE id = ?")
      .get(id) as Row | null;
    return row ? parse(row) : undefined;
  }

  /** By name, id, or the start of an id. */
  find(text: string): Container | undefined {
    const row = this.#db
      .query("SELECT phase, config, state FROM container WHERE name = ? OR id = ?")
      .get(text, text) as Row | null;
    if (row) return parse(row);
    if (!/^[0-9a-f]{1,64}$/.test(text)) return undefined;
    const rows = this.#db
      .query("SELECT phase, config, state FROM container WHERE id >= ? AND id < ? LIMIT 2")
      .all(text, `${text}g`) as Row[];
    if (rows.length > 1)
      throw new UserError(
        `more than one result for container name or ID ${text}: container name or ID is ambiguous`,
      );
    return rows[0] && parse(rows[0]);
  }

  get(text: string): Container {
    const container = this.find(text);
    if (!container)
      throw new UserError(`no container with name or ID ${JSON.stringify(text)} found: no such container`, {
        status: 404,
      });
    return container;
  }

  /** Writes a new row; the name must be free, and its pod be there to stay. */
  insert(container: Container): void {
    const { config } = container;
    this.#db
      .transaction(() => {
        if (this.#db.query("SELECT 1 FROM pod WHERE name = ?").get(config.name) !== null)
          throw new UserError(`name ${JSON.stringify(config.name)} is in use: pod already exists`, {
            status: 409,
          });
        const holder = this.#db.query("SELECT id FROM container WHERE name = ?").get(config.name) as {
          id: string;
        } | null;
        if (holder)
          throw new UserError(
            `creating container storage: the container name ${JSON.stringify(config.name)} is already in use by ${holder.id}. You have to remove that container to be able to reuse that name: that name is already in use`,
            { status: 409 },
          );
        if (config.pod !== undefined && !this.#podTakes(config))
          throw new UserError(`no pod with name or ID ${config.pod} found: no such pod`, { status: 404 });
        this.#db
          .query(
            "INSERT INTO container (id, name, phase, image_id, created, config, state) VALUES (?, ?, ?, ?, ?, ?, ?)",
          )
          .run(
            config.id,
            config.name,
            container.phase,
            config.imageId,
            config.created,
            JSON.stringify(config),
            JSON.stringify(container.state),
          );
      })
      .immediate();
  }

  /** False for a pod that is gone or going. */
  #podTakes({ pod, infra }: ContainerConfig): boolean {
    const row = this.#db.query("SELECT phase FROM pod WHERE id = ?").get(pod!) as { phase: string } | null;
    return row?.phase === "ready" || (row?.phase === "creating" && infra !== undefined);
  }

  /** Writes phase and state. */
  save(container: Container, phase: Phase = container.phase): void {
    container.phase = phase;
    this.#db
      .query("UPDATE container SET phase = ?, state = ? WHERE id = ?")
      .run(phase, JSON.stringify(container.state), container.config.id);
  }

  /** Writes the configuration, which only few verbs ever change. */
  saveConfig({ config }: Container): void {
    this.#db.query("UPDATE container SET config = ? WHERE id = ?").run(JSON.stringify(config), config.id);
  }

  /** Gives a container another name. Throws UserError when somebody else has it. */
  rename({ config }: Container, name: string): void {
    this.#db
      .transaction(() => {
        const holder = this.#db.query("SELECT id FROM container WHERE name = ?").get(name) as {
          id: string;
        } | null;
        if (holder)
          throw new UserError(
            `renaming container ${config.id}: name ${name} already in use, cannot rename container ${config.id}: container already exists`,
            { status: 409 },
          );
        config.name = name;
        this.#db
          .query("UPDATE container SET name = ?, config = ? WHERE id = ?")
          .run(name, JSON.stringify(config), config.id);
      })
      .immediate();
  }

  delete(id: string): void {
    this.#db.query("DELETE FROM container WHERE id = ?").run(id);
  }

  nameTaken(name: string): boolean {
    return (
      this.#db
        .query("SELECT 1 FROM container WHERE name = ? UNION ALL SELECT 1 FROM pod WHERE name = ?")
        .get(name, name) !== null
    );
  }

  /** Ids of containers that may need repair: in a passing phase, or running. */
  unsettled(): { id: string; phase: Phase }[] {
    return this.#db
      .query("SELECT id, phase FROM container WHERE phase NOT IN ('created', 'exited')")
      .all() as { id: string; phase: Phase }[];
  }

  lock(id: string): Lock {
    return lock(this.#paths.lock(id), this.#lockOptions(id));
  }

  tryLock(id: string): Lock | undefined {
    return tryLock(this.#paths.lock(id), this.#lockOptions(id));
  }

  #lockOptions(id: string): LockOptions {
    return { isGone: () => !this.#db.query("SELECT 1 FROM container WHERE id = ?").get(id) };
  }

  /** Holds the container's lock around `fn`, which sees the row as it is once the lock is ours. */
  async locked<T>(id: string, fn: (container: Container) => Promise<T>): Promise<T> {
    const held = this.lock(id);
    try {
      const container = this.byId(id);
      if (!container)
        throw new UserError(`no container with name or ID ${JSON.stringify(id)} found: no such container`, {
          status: 404,
        });
      return await fn(container);
    } finally {
      held.release();
    }
  }
}
