/** The SQLite file: opening, schema, transactions. */
import { Database } from "bun:sqlite";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { errorText, UserError } from "../base/errors.ts";

/**
 * Rows keep what is looked up in columns, and the whole object as JSON beside it.
 * `container.phase`: creating created starting running stopping exited removing.
 */
const FIRST = `
CREATE TABLE container (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  phase TEXT NOT NULL,
  image_id TEXT NOT NULL,
  created INTEGER NOT NULL,
  config TEXT NOT NULL,
  state TEXT NOT NULL
) STRICT;
CREATE TABLE image (
  id TEXT PRIMARY KEY,
  digest TEXT NOT NULL,
  created TEXT NOT NULL,
  size INTEGER NOT NULL,
  record TEXT NOT NULL
) STRICT;
CREATE TABLE image_name (name TEXT PRIMARY KEY, image_id TEXT NOT NULL REFERENCES image(id) ON DELETE CASCADE) STRICT;
CREATE TABLE layer (diff_id TEXT PRIMARY KEY, size INTEGER NOT NULL, blob TEXT, created INTEGER NOT NULL) STRICT;
CREATE TABLE image_layer (
  image_id TEXT NOT NULL REFERENCES image(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  diff_id TEXT NOT NULL REFERENCES layer(diff_id),
  PRIMARY KEY (image_id, position)
) STRICT;
CREATE TABLE volume (
  name TEXT PRIMARY KEY,
  created INTEGER NOT NULL,
  anonymous INTEGER NOT NULL,
  record TEXT NOT NULL
) STRICT;
CREATE TABLE event (seq INTEGER PRIMARY KEY AUTOINCREMENT, time_ns INTEGER NOT NULL, record TEXT NOT NULL) STRICT;
`;

/** `pod.phase`: creating ready removing. A container tells in its configuration which pod it is in. */
const PODS = `
CREATE TABLE pod (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  phase TEXT NOT NULL,
  created INTEGER NOT NULL,
  record TEXT NOT NULL
) STRICT;
CREATE INDEX container_pod ON container (config ->> 'pod') WHERE config ->> 'pod' IS NOT NULL;
`;

/** What each version of the schema adds to the one before; a database of an earlier one is brought up when it is opened. */
const VERSIONS = [FIRST, PODS];

/** Opens the database, making it and its directory where they are missing. Waits up to 30 s for another writer. */
export function openDatabase(path: string): Database {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o711 });
    const database = new Database(path, { create: true, strict: true });
    database.run("PRAGMA busy_timeout = 30000");
    database.run("PRAGMA journal_mode = WAL");
    database.run("PRAGMA synchronous = NORMAL");
    database.run("PRAGMA foreign_keys = ON");
    if (userVersion(database) < VERSIONS.length) {
      database
        .transaction(() => {
          for (const step of VERSIONS.slice(userVersion(database))) database.run(step);
          database.run(`PRAGMA user_version = ${VERSIONS.length}`);
        })
        .immediate();
    }
    const version = userVersion(database);
    if (version > VERSIONS.length)
      throw new Error(
        `it was written by a newer Portolan (schema ${version}, this one knows ${VERSIONS.length})`,
      );
    return database;
  } catch (error) {
    throw new UserError(`can't open the state database ${path}: ${errorText(error)}`, { cause: error });
  }
}

function userVersion(database: Database): number {
  return (database.query("PRAGMA user_version").get() as { user_version: number }).user_version;
}
