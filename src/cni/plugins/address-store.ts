/**
 * Addresses that are given out, remembered in files: those of Go's host-local, under its lock, so that both may share one
 * pool.
 *
 * `dataDir/NETWORK/`: a file per address (`10.88.0.3`, holding `<container id>\r\n<interface>`), `last_reserved_ip.<n>`
 * for each range set, and `lock` (flock(2), exclusive, held for each operation).
 */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { errorText, hasCode } from "../../base/errors.ts";
import { readShortFile } from "../../sys/fd.ts";
import { lock } from "../../sys/flock.ts";
import { bytes } from "../../sys/mem.ts";
import { findSmallFile } from "../../sys/small-files.ts";
import { ipToBigInt, parseIP } from "../../wire/addr.ts";
import { CNI_ERROR, CniError } from "../types.ts";
import type { StatusContext } from "./plugin.ts";

const LAST_RESERVED = "last_reserved_ip.";

/** What a file of an attachment's address holds. */
export const ownerOf = (containerId: string, ifName: string) => `${containerId}\r\n${ifName}`;

/** True for a file of that attachment; in files of old versions stands the container's id alone. */
export const isOwner = (owner: string, containerId: string, ifName: string) =>
  owner === ownerOf(containerId, ifName) || owner === containerId;

/** An owner is read into here: ids and names of interfaces are ASCII, and short. */
const content = Buffer.from(bytes(1024).buffer);

export class AddressStore {
  readonly #directory: string;

  constructor(context: StatusContext) {
    const dataDir = (context.conf.ipam?.dataDir as string | undefined) || context.dataDirectory;
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
      if (this.owner(ip) !== "") return false;
      writeFileSync(path, owner, { mode: 0o600 });
    }
    writeFileSync(join(this.#directory, `${LAST_RESERVED}${rangeIndex}`), ip, { mode: 0o600 });
    return true;
  }

  lastReserved(rangeIndex: number): bigint | undefined {
    try {
      const ip = parseIP(readFileSync(join(this.#directory, `${LAST_RESERVED}${rangeIndex}`), "utf8").trim());
      return ip && ipToBigInt(ip);
    } catch {
      return undefined;
    }
  }

  /** Every address that has a file. */
  addresses(): string[] {
    return readdirSync(this.#directory).filter(name => name !== "lock" && !name.startsWith(LAST_RESERVED));
  }

  /** Whose an address is: `<container id>\r\n<interface>`, in old files the id alone; "" in one that a crash left empty. */
  owner(ip: string): string | undefined {
    const size = readShortFile(`${this.#directory}/${ip}`, content);
    return size === undefined ? undefined : content.toString("latin1", 0, size).trim();
  }

  reserved(): { ip: string; owner: string }[] {
    return this.addresses().flatMap(ip => {
      const owner = this.owner(ip);
      return owner === undefined ? [] : [{ ip, owner }];
    });
  }

  /** One address of an attachment, if it has any. Every ADD asks, of pools that may have thousands. */
  find(containerId: string, ifName: string): string | undefined {
    const id = Buffer.from(containerId);
    return findSmallFile(
      this.#directory,
      this.addresses(),
      id.length,
      (ip, start) => id.equals(start) && isOwner(this.owner(ip) ?? "", containerId, ifName),
    );
  }

  /** When an address was given out, in milliseconds since 1970. */
  since(ip: string): number {
    return statSync(join(this.#directory, ip)).mtimeMs;
  }

  /** When an address was given out last, of whichever set; undefined where none ever was. */
  lastUsed(): number | undefined {
    let last: number | undefined;
    for (let index = 0; ; index++) {
      const found = statSync(join(this.#directory, `${LAST_RESERVED}${index}`), { throwIfNoEntry: false });
      if (!found) return last;
      last = Math.max(last ?? 0, found.mtimeMs);
    }
  }

  release(ip: string): void {
    rmSync(join(this.#directory, ip), { force: true });
  }

  /** Removes the directory; not while an address is reserved in it, by whichever engine. */
  removeIfEmpty(): void {
    if (this.addresses().length === 0) rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Throws CniError 50 where no address could be written down. */
  checkWritable(): void {
    let place = this.#directory;
    while (!existsSync(place) && place !== dirname(place)) place = dirname(place);
    try {
      if (!statSync(place).isDirectory()) throw new Error(`${place} is no directory`);
      accessSync(place, constants.W_OK | constants.X_OK);
    } catch (error) {
      throw new CniError(
        CNI_ERROR.NOT_AVAILABLE,
        `host-local can't write to ${this.#directory}`,
        errorText(error),
      );
    }
  }
}
