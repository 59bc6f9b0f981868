/**
 * The ids of `--userns=auto`: a run of its own for each container, out of those of the user `containers` (root's engine) or
 * of the caller's subordinate ones, as many as the image has use for.
 */
import { existsSync, lstatSync, readFileSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import { withLock } from "../sys/flock.ts";
import { type IdMapping, type IdMaps, idMap } from "../sys/user-namespace.ts";
import { readSubids } from "../userns/subids.ts";
import type { Container, ContainerConfig } from "./config.ts";
import type { AutoIds } from "./create-userns.ts";
import type { Engine } from "./engine.ts";
import { parseGroup, parsePasswd, resolveInRoot } from "./user.ts";

const OWNER = "containers";
const MIN_SIZE = 1024;
const MAX_SIZE = 65536;
const NOBODY = 65534;

interface Run {
  start: number;
  count: number;
}

/** Writes a new container's row, with ids that no other container has where such are asked for. */
export function insertWithIds(engine: Engine, container: Container, auto: AutoIds | undefined): void {
  if (!auto) {
    engine.containers.insert(container);
    return;
  }
  withLock(engine.paths.lock("auto-ids"), () => {
    container.config.ids = findIds(engine, container.config, auto);
    engine.containers.insert(container);
  });
}

function findIds(engine: Engine, config: ContainerConfig, auto: AutoIds): IdMaps {
  const size = auto.size ?? neededIds(config);
  const find = (kind: "uid" | "gid", forced: readonly IdMapping[]) => {
    const used = engine.containers
      .list()
      .flatMap(({ config: { ids } }) => ids?.[`${kind}s`] ?? [])
      .concat(forced)
      .map(({ outside, count }) => ({ start: outside, count }));
    return allocate(size, subtract(ownRuns(engine, kind), used), forced);
  };
  return { uids: find("uid", auto.uids), gids: find("gid", auto.gids) };
}

function ownRuns(engine: Engine, kind: "uid" | "gid"): Run[] {
  // The caller himself is 0 there, and no container's.
  if (engine.user)
    return idMap(kind).flatMap(({ inside, count }) =>
      subtract([{ start: inside, count }], [{ start: 0, count: 1 }]),
    );
  const runs = readSubids(`/etc/sub${kind}`, { name: OWNER, uid: -1 });
  if (runs.length === 0)
    throw new UserError(
      `creating container storage: no sub${kind} ranges found for user ${JSON.stringify(OWNER)} in /etc/sub${kind}`,
      { hint: `give it some: echo ${OWNER}:2147483648:2147483647 >>/etc/sub${kind}` },
    );
  return runs;
}

/** What of `runs` is in none of `used`. */
export function subtract(runs: readonly Run[], used: readonly Run[]): Run[] {
  let free = [...runs];
  for (const { start, count } of used)
    free = free.flatMap(one =>
      [
        { start: one.start, count: Math.min(one.count, start - one.start) },
        {
          start: Math.max(one.start, start + count),
          count: Math.min(one.count, one.start + one.count - start - count),
        },
      ].filter(rest => rest.count > 0),
    );
  return free;
}

/** Maps 0 … `size` - 1 to free ids, the first there are; but for the ids that `forced` maps already. */
export function allocate(size: number, free: readonly Run[], forced: readonly IdMapping[]): IdMapping[] {
  const map = [...forced];
  const rest = free.map(run => ({ ...run }));
  for (const gap of subtract(
    [{ start: 0, count: size }],
    forced.map(({ inside, count }) => ({ start: inside, count })),
  ))
    for (let { start, count } = gap; count > 0; ) {
      const run = rest.find(one => one.count > 0);
      if (!run) throw new UserError("creating container storage: could not find enough available IDs");
      const taken = Math.min(count, run.count);
      map.push({ inside: start, outside: run.start, count: taken });
      run.start += taken;
      run.count -= taken;
      start += taken;
      count -= taken;
    }
  return map.sort((a, b) => a.inside - b.inside);
}

/** One more than the highest id that the image knows, or is asked for; nobody (65534) is in every one of them. */
function neededIds({ layers, user }: ContainerConfig): number {
  const rows = (file: string) => {
    const path = layers.map(layer => resolveInRoot(layer, file)).find(existsSync);
    if (!path || !lstatSync(path).isFile()) return [];
    return readFileSync(path, "utf8")
      .split("\n")
      .map(line => line.split(":"));
  };
  const asked = user.split(":").filter(one => /^\d+$/.test(one));
  const ids = [
    ...parsePasswd(rows("etc/passwd")).flatMap(one => [one.uid, one.gid]),
    ...parseGroup(rows("etc/group")).map(one => one.gid),
  ].filter(id => id !== NOBODY && id < MAX_SIZE);
  return Math.max(MIN_SIZE, ...[...ids, ...asked.map(Number)].map(id => id + 1));
}
