import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDatabase } from "./database.ts";

/** The table that version 1 had and version 2 adds to. */
const OLD = `CREATE TABLE container (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, phase TEXT NOT NULL, image_id TEXT NOT NULL,
  created INTEGER NOT NULL, config TEXT NOT NULL, state TEXT NOT NULL
) STRICT;
INSERT INTO container VALUES ('a1', 'old', 'exited', 'i', 1, '{"id":"a1"}', '{}');
PRAGMA user_version = 1;`;

test("a database of an earlier version keeps what is in it and learns of pods; one of a later version is refused", () => {
  const directory = mkdtempSync(join(tmpdir(), "portolan-state-"));
  const path = join(directory, "state.db");
  try {
    const old = new Database(path, { create: true });
    old.run(OLD);
    old.close();
    const database = openDatabase(path);
    expect(database.query("SELECT name FROM container").all()).toEqual([{ name: "old" }]);
    expect(database.query("SELECT id FROM pod").all()).toEqual([]);
    const plan = "EXPLAIN QUERY PLAN SELECT id FROM container WHERE config ->> 'pod' = ?";
    expect(JSON.stringify(database.query(plan).all("p"))).toContain("container_pod");
    database.run("PRAGMA user_version = 1000");
    database.close();
    expect(() => openDatabase(path)).toThrow(/written by a newer Portolan \(schema 1000/);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
