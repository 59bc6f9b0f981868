/**
 * host-local: addresses from ranges, remembered in files. The files, the lock and the order are those of the Go plugin,
 * so that both may share one pool.
 *
 * `dataDir/NETWORK/`: a file per address (`10.88.0.3`, holding `<container id>\r\n<interface>`), `last_reserved_ip.<n>`
 * for each range set, and `lock` (flock(2), exclusive, held for each operation).
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasCode } from "../../base/errors.ts";
import { lock } from "../../sys/flock.ts";
import { bigIntToIp, contains, formatIP, ipToBigInt, parseIP } from "../../wire/addr.ts";
import { CNI_ERROR, CniError, type ResultRoute } from "../types.ts";
import { emptyResult, type Plugin, type PluginContext, type StatusContext } from "./plugin.ts";
import { candidates, type Range, rangeText, readAddress, readRangeSets } from "./ranges.ts";

/** Addresses asked for, by CNI_ARGS, by the older `args.cni.ips`, and by the capability `ips`. */
function requestedAddresses(context: PluginContext): string[] {
  const older = context.conf.args as { cni?: { ips?: string[] } } | undefined;
  const capability = context.runtimeConfig.ips as string[] | undefined;
  const texts = [
    ...(context.args.IP ? [context.args.IP] : []),
    ...(older?.cni?.ips ?? []),
    ...(capability ?? []),
  ];
  return texts.map(text => formatIP(readAddress(text.split("/")[0])));
}

const isOwner = (owner: string, containerId: string, ifName: string) =>
  owner === `${containerId}\r\n${ifName}` || owner === containerId;

class Store {
  readonly #directory: string;

  constructor(context: StatusContext) {
    const dataDir = (context.conf.ipam?.dataDir as string | undefined) ?? context.dataDirectory;
    this.#directory = join(dataDir, context.network);
  }

  get exists(): boolean {
    return existsSync(this.#directory);
  }

  locked<T>(fn: () => T): T {
    mkdirSync(this.#directory, { recursive: true, mode: 0o755 });
    using _held = lock(join(this.#directory, "lock"), { mode: 0o750 });
    return fn();
  }

  /** Takes `ip` if it is free. A file left empty by a crash counts as free. */
  reserve(ip: string, owner: string, rangeIndex: number): boolean {
    const path = join(this.#directory, ip);
    try {
      writeFileSync(path, owner, { flag: "wx", mode: 0o600 });
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
      if (readFileSync(path, "utf8").trim() !== "") return false;
      writeFileSync(path, owner, { mode: 0o600 });
    }
    writeFileSync(join(this.#directory, `last_reserved_ip.${rangeIndex}`), ip, { mode: 0o600 });
    return true;
  }

  lastReserved(rangeIndex: number): bigint | undefined {
    try {
      const ip = parseIP(
        readFileSync(join(this.#directory, `last_reserved_ip.${rangeIndex}`), "utf8").trim(),
      );
      return ip && ipToBigInt(ip);
    } catch {
      return undefined;
    }
  }

  /** Every reserved address with its owner: `<container id>\r\n<interface>`, in old files the id alone. */
  reserved(): { ip: string; owner: string }[] {
    return readdirSync(this.#directory)
      .filter(name => name !== "lock" && !name.startsWith("last_reserved_ip."))
      .map(ip => ({ ip, owner: readFileSync(join(this.#directory, ip), "utf8").trim() }));
  }

  ownedBy(containerId: string, ifName: string): string[] {
    return this.reserved()
      .filter(({ owner }) => isOwner(owner, containerId, ifName))
      .map(({ ip }) => ip);
  }

  /** Removes the directory; not while an address is reserved in it, by whichever engine. */
  removeIfEmpty(): void {
    if (this.reserved().length === 0) rmSync(this.#directory, { recursive: true, force: true });
  }

  release(ip: string): void {
    rmSync(join(this.#directory, ip), { force: true });
  }
}

export const hostLocal: Plugin = {
  add(context) {
    const sets = readRangeSets(context.conf.ipam ?? {}, context.runtimeConfig.ipRanges);
    const wanted = new Set(requestedAddresses(context));
    const store = new Store(context);
    const owner = `${context.containerId}\r\n${context.ifName}`;
    const result = emptyResult(context.cniVersion);
    return store.locked(() => {
      const taken: string[] = [];
      try {
        const [has] = store.ownedBy(context.containerId, context.ifName);
        if (has)
          throw new CniError(
            CNI_ERROR.INTERNAL,
            `failed to allocate for range 0: ${has} has been allocated to ${context.containerId}, duplicate allocation is not allowed`,
          );
        for (const [index, set] of sets.entries()) {
          const choice = allocate(store, set, index, wanted, owner);
          taken.push(formatIP(choice.ip));
          result.ips.push({
            address: `${formatIP(choice.ip)}/${choice.range.prefix}`,
            gateway: formatIP(bigIntToIp(choice.range.gateway, choice.range.family)),
          });
        }
        if (wanted.size > 0)
          throw new CniError(
            CNI_ERROR.INTERNAL,
            `failed to allocate all requested IPs: ${[...wanted].join(", ")}`,
          );
      } catch (error) {
        for (const ip of taken) store.release(ip);
        throw error;
      }
      result.routes = (context.conf.ipam?.routes as ResultRoute[] | undefined) ?? [];
      return result;
    });
  },

  del(context) {
    const store = new Store(context);
    if (!store.exists) return;
    store.locked(() => {
      // Whoever holds the lock has none half written: an empty file is that of a killed ADD, perhaps of this container's.
      for (const { ip, owner } of store.reserved())
        if (owner === "" || isOwner(owner, context.containerId, context.ifName)) store.release(ip);
    });
  },

  check(context) {
    const store = new Store(context);
    if (store.locked(() => store.ownedBy(context.containerId, context.ifName)).length === 0)
      throw new CniError(
        CNI_ERROR.INTERNAL,
        `host-local: Failed to find address added by container ${context.containerId}`,
      );
  },

  gc(context) {
    const store = new Store(context);
    if (!store.exists) return;
    const valid = new Set(
      context.valid.flatMap(one => [`${one.containerId}\r\n${one.ifName}`, one.containerId]),
    );
    store.locked(() => {
      for (const { ip, owner } of store.reserved()) if (!valid.has(owner)) store.release(ip);
    });
  },

  forget(context) {
    const store = new Store(context);
    if (store.exists) store.locked(() => store.removeIfEmpty());
  },

  status(context) {
    readRangeSets(context.conf.ipam ?? {}, undefined);
  },
};

/** Reserves an address of a set: one of those that are `wanted`, which is then crossed out, or the next free one. */
function allocate(store: Store, set: readonly Range[], index: number, wanted: Set<string>, owner: string) {
  const refuse = (why: string) =>
    new CniError(CNI_ERROR.INTERNAL, `failed to allocate for range ${index}: ${why}`);
  for (const text of wanted) {
    const ip = parseIP(text)!;
    const value = ipToBigInt(ip);
    const range = set.find(one => contains(one.cidr, ip) && value >= one.first && value <= one.last);
    if (!range) continue;
    if (value === range.gateway) throw refuse(`requested ip ${text} is subnet's gateway`);
    if (!store.reserve(text, owner, index))
      throw refuse(`requested IP address ${text} is not available in range set ${rangeText(set)}`);
    wanted.delete(text);
    return { ip, range };
  }
  for (const choice of candidates(set, store.lastReserved(index)))
    if (store.reserve(formatIP(choice.ip), owner, index)) return choice;
  throw refuse(`no IP addresses available in range set: ${rangeText(set)}`);
}
