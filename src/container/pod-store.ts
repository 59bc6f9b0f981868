/** Pods in the database. Their containers tell in their own rows which pod they are in. */
import type { Database } from "bun:sqlite";
import { UserError } from "../base/errors.ts";
import type { Paths } from "../state/paths.ts";
import { type Lock, type LockOptions, lock, tryLock } from "../sys/flock.ts";
import type { ResourceLimits } from "./config.ts";

/** What containers of a pod may share. */
export const SHARED = ["cgroup", "ipc", "net", "pid", "uts"] as const;
export type Shared = (typeof SHARED)[number];

export type PodPhase = "creating" | "ready" | "removing";

/** A pod as it was decided; never changed afterwards. */
export interface PodConfig {
  id: string;
  name: string;
  /** Milliseconds since 1970. */
  created: number;
  createCommand: string[];
  labels: Record<string, string>;
  /** As asked; "" where the pod's name is its host name too. */
  hostname: string;
  share: Shared[];
  /** What happens when the last of its containers has ended. */
  exitPolicy: "continue" | "stop";
  /** The infra container; absent for a pod without. */
  infraId?: string;
  /** `--cgroup-parent`, and the control group of the pod below it; "" where its containers have none in common. */
  cgroupParent: string;
  cgroup: string;
  /** What every container of the pod has besides its own. */
  devices: string[];
  volumes: string[];
  volumesFrom: string[];
  securityOpt: string[];
  sysctl: string[];
  limits: ResourceLimits;
  /** Where its id was written. */
  idFile?: string;
}

export interface Pod {
  config: PodConfig;
  phase: PodPhase;
}

interface Row {
  phase: PodPhase;
  record: string;
}

const parse = ({ phase, record }: Row): Pod => ({ phase, config: JSON.parse(record) as PodConfig });

export class PodStore {
  readonly #db: Database;
  readonly #paths: Paths;

  constructor(db: Database, paths: Paths) {
    this.#db = db;
    this.#paths = paths;
  }

  /** Newest first. */
  list(): Pod[] {
    return (this.#db.query("SELECT phase, record FROM pod ORDER BY created DESC").all() as Row[]).map(parse);
  }

  byId(id: string): Pod | undefined {
    const row = this.#db.query("SELECT phase, record FROM pod WHERE id = ?").get(id) as Row | null;
    return row ? parse(row) : undefined;
  }

  /** By name, id, or the start of an id. */
  find(text: string): Pod | undefined {
    const row = this.#db
      .query("SELECT phase, record FROM pod WHERE name = ? OR id = ?")
      .get(text, text) as Row | null;
    if (row) return parse(row);
    if (!/^[0-9a-f]{1,64}$/.test(text)) return undefined;
    const rows = this.#db
      .query("SELECT phase, record FROM pod WHERE id >= ? AND id < ? LIMIT 2")
      .all(text, `${text}g`) as Row[];
    if (rows.length > 1)
      throw new UserError(`more than one result for ID or name ${text}: pod already exists`);
    return rows[0] && parse(rows[0]);
  }

  get(text: string): Pod {
    const pod = this.find(text);
    if (!pod) throw new UserError(`no pod with name or ID ${text} found: no such pod`, { status: 404 });
    return pod;
  }

  /** Writes a new row; the name must be free, among containers too. */
  insert({ config, phase }: Pod): void {
    this.#db
      .transaction(() => {
        const holder = this.#holderOf(config.name);
        if (holder)
          throw new UserError(
            `adding pod to state: name ${JSON.stringify(config.name)} is in use: ${holder} already exists`,
            { status: 409 },
          );
        this.#db
          .query("INSERT INTO pod (id, name, phase, created, record) VALUES (?, ?, ?, ?, ?)")
          .run(config.id, config.name, phase, config.created, JSON.stringify(config));
      })
      .immediate();
  }

  save(pod: Pod, phase: PodPhase): void {
    pod.phase = phase;
    this.#db.query("UPDATE pod SET phase = ? WHERE id = ?").run(phase, pod.config.id);
  }

  delete(id: string): void {
    this.#db.query("DELETE FROM pod WHERE id = ?").run(id);
  }

  /** Pods and containers may not have the same name. */
  #holderOf(name: string): "pod" | "container" | undefined {
    const row = this.#db
      .query(
        "SELECT 'pod' AS what FROM pod WHERE name = ?1 UNION ALL SELECT 'container' FROM container WHERE name = ?1",
      )
      .get(name) as { what: "pod" | "container" } | null;
    return row?.what;
  }

  nameTaken(name: string): boolean {
    return this.#holderOf(name) !== undefined;
  }

  /** Ids of pods that a command is at, or was when it died. */
  unsettled(): string[] {
    const rows = this.#db.query("SELECT id FROM pod WHERE phase <> 'ready'").all() as { id: string }[];
    return rows.map(one => one.id);
  }

  lock(id: string): Lock {
    return lock(this.#paths.lock(id), this.#lockOptions(id));
  }

  tryLock(id: string): Lock | undefined {
    return tryLock(this.#paths.lock(id), this.#lockOptions(id));
  }

  #lockOptions(id: string): LockOptions {
    return { isGone: () => !this.#db.query("SELECT 1 FROM pod WHERE id = ?").get(id) };
  }
}
