/** Networks' configurations in a directory, by libcni's order (conf.go, `LoadNetworkConf`). */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { errorText, hasCode } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { isTrue, parseConfList } from "./conflist.ts";
import { CNI_ERROR, CniError, type NetConfList } from "./types.ts";

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Files of a directory with one of these endings, in the order of their bytes; none where there is no directory. */
function filesOf(directory: string, ...endings: string[]): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter(one => !one.isDirectory() && endings.includes(extname(one.name)))
      .map(one => Buffer.from(one.name))
      .sort(Buffer.compare)
      .map(name => join(directory, name.toString()));
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR")) return [];
    throw error;
  }
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new CniError(CNI_ERROR.DECODE, `error parsing configuration file ${path}`, errorText(error));
  }
}

/**
 * Reads a conflist. Unless it says `loadOnlyInlinedPlugins`, the plugins of `DIR/NAME/*.conf` beside it follow its own
 * (SPEC.md 1.1.0, "Configuration format").
 */
export function readConfList(path: string): NetConfList {
  const source = readFileSync(path, "utf8");
  const data = readJson(path);
  if (!isObject(data) || typeof data.name !== "string") return parseConfList(source);
  // A name with a slash is refused below, before it names a directory.
  const hasOwnOnly = isTrue(data.loadOnlyInlinedPlugins) || data.name.includes("/");
  const beside = hasOwnOnly ? [] : filesOf(join(dirname(path), data.name), ".conf");
  if (beside.length === 0) return parseConfList(source);
  const plugins = [...(Array.isArray(data.plugins) ? data.plugins : []), ...beside.map(readJson)];
  return parseConfList(JSON.stringify({ ...data, plugins }));
}

/** A single configuration as a list of one; undefined where it has no name, or not the one that is wanted. */
function readSingle(path: string, wanted?: string): NetConfList | undefined {
  const data = readJson(path);
  if (!isObject(data) || typeof data.name !== "string" || (wanted ?? data.name) !== data.name)
    return undefined;
  const { name, cniVersion } = data;
  return parseConfList(JSON.stringify({ name, cniVersion, plugins: [data] }));
}

/** A file that can't be read is warned of and left out: what is wrong with one network is nothing to the others. */
function orWarned(path: string, read: (path: string) => NetConfList | undefined): NetConfList | undefined {
  try {
    return read(path);
  } catch (error) {
    log.warn(`error loading CNI config file ${path}: ${errorText(error)}`);
    return undefined;
  }
}

/**
 * The network `name` of a directory: the first conflist of that name, else the first single configuration (`*.conf`,
 * `*.json`) made a list of one. libcni gives up at the first file that can't be read, whosever it is.
 */
export function loadNetworkConf(directory: string, name: string): NetConfList {
  const lists = filesOf(directory, ".conflist");
  for (const path of lists) {
    const list = orWarned(path, readConfList);
    if (list?.name === name) return list;
  }
  const singles = filesOf(directory, ".conf", ".json");
  for (const path of singles) {
    const list = orWarned(path, one => readSingle(one, name));
    if (list) return list;
  }
  throw new CniError(
    CNI_ERROR.INVALID_CONFIG,
    lists.length + singles.length === 0
      ? `no net configurations found in ${directory}`
      : `no net configuration with name ${JSON.stringify(name)} in ${directory}`,
  );
}

/** A network and its file. */
export interface LoadedList {
  list: NetConfList;
  path: string;
}

/**
 * Every usable network of a directory by its name, in the order in which libcni looks for one. A file that can't be read is
 * warned of and left out, so is one with a name that is taken.
 */
export function loadConfLists(directory: string): Map<string, LoadedList> {
  const found = new Map<string, LoadedList>();
  const take = (path: string, read: (path: string) => NetConfList | undefined) => {
    const list = orWarned(path, read);
    const rival = list && found.get(list.name);
    if (rival)
      log.warn(`CNI network ${list.name} of ${path} is left out: ${rival.path} has that name already`);
    else if (list) found.set(list.name, { list, path });
  };
  for (const path of filesOf(directory, ".conflist")) take(path, readConfList);
  for (const path of filesOf(directory, ".conf", ".json")) take(path, path => readSingle(path));
  return found;
}
