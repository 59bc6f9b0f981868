/** The engine's diary: what `events` shows. */
import type { Database } from "bun:sqlite";

export interface EngineEvent {
  /** Nanoseconds since 1970; a decimal string, since it does not fit a JavaScript number. */
  timeNano: string;
  type: "container" | "pod" | "image" | "volume" | "network" | "system";
  /** Podman's words: create init start attach died cleanup remove stop kill exec exec_died pull tag untag … */
  status: string;
  id: string;
  name: string;
  image?: string;
  exitCode?: number;
  /** Name of the network that a container, which `id` and `name` tell of, was put on or taken off. */
  network?: string;
  attributes?: Record<string, string>;
}

/** Writes one event, dated now. */
export function recordEvent(database: Database, event: Omit<EngineEvent, "timeNano">): void {
  const timeNano = BigInt(Date.now()) * 1_000_000n + (process.hrtime.bigint() % 1_000_000n);
  database
    .query("INSERT INTO event (time_ns, record) VALUES (?, ?)")
    .run(timeNano, JSON.stringify({ timeNano: String(timeNano), ...event }));
}

/** The events after sequence number `after`, oldest first, with their numbers. */
export function eventsAfter(database: Database, after: number): { seq: number; event: EngineEvent }[] {
  const rows = database.query("SELECT seq, record FROM event WHERE seq > ? ORDER BY seq").all(after) as {
    seq: number;
    record: string;
  }[];
  return rows.map(row => ({ seq: row.seq, event: JSON.parse(row.record) as EngineEvent }));
}
