/** One network's configuration out of a directory, by libcni's order (conf.go, `LoadNetworkConf`). */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { errorText, hasCode } from "../base/errors.ts";
import { parseConfList } from "./conflist.ts";
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
    if (hasCode(error, "ENOENT")) return [];
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
  const inlinedOnly = data.loadOnlyInlinedPlugins === true || data.loadOnlyInlinedPlugins === "true";
  // A name with a slash is refused below, before it names a directory.
  const beside =
    inlinedOnly || data.name.includes("/") ? [] : filesOf(join(dirname(path), data.name), ".conf");
  if (beside.length === 0) return parseConfList(source);
  const plugins = [...(Array.isArray(data.plugins) ? data.plugins : []), ...beside.map(readJson)];
  return parseConfList(JSON.stringify({ ...data, plugins }));
}

/**
 * The network `name` of a directory: the first conflist of that name, else the first single configuration (`*.conf`,
 * `*.json`) made a list of one. A file before it that can't be read is an error, as for libcni.
 */
export function loadNetworkConf(directory: string, name: string): NetConfList {
  const lists = filesOf(directory, ".conflist");
  for (const path of lists) {
    const list = readConfList(path);
    if (list.name === name) return list;
  }
  const singles = filesOf(directory, ".conf", ".json");
  for (const path of singles) {
    const data = readJson(path);
    if (!isObject(data) || data.name !== name) continue;
    const { cniVersion } = data;
    return parseConfList(JSON.stringify({ name, cniVersion, plugins: [data] }));
  }
  throw new CniError(
    CNI_ERROR.INVALID_CONFIG,
    lists.length + singles.length === 0
      ? `no net configurations found in ${directory}`
      : `no net configuration with name ${JSON.stringify(name)} in ${directory}`,
  );
}
