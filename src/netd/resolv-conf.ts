/**
 * resolv.conf(5): the host's resolvers, followed as the file changes.
 *
 * The file is often a symbolic link that is never touched (systemd-resolved, resolvconf) or is replaced as a whole, so
 * what is watched are directories: of the path itself, and of every link's target.
 */
import { lstatSync, readFileSync, readlinkSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { errorText } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { EPOLL } from "../sys/epoll.ts";
import { Inotify } from "../sys/inotify.ts";
import { formatIP, type IpAddress, parseIP } from "../wire/addr.ts";
import type { Loop } from "./loop.ts";

export interface Resolver {
  ip: IpAddress;
  /** The interface of a link-local address (`fe80::1%eth0`); empty without. */
  zone: string;
}

export interface ResolvConfFile {
  nameservers: Resolver[];
  /** Search domains; the last `search` or `domain` line counts. */
  search: string[];
}

/** The C library asks the first three. */
const MOST_NAMESERVERS = 3;
/** More than any real file has: a file of that size is something else. */
const MOST_BYTES = 65_536;

/** Reads the text of a resolv.conf; lines that are not understood are passed over, as the C library does. */
export function parseResolvConf(text: string): ResolvConfFile {
  const file: ResolvConfFile = { nameservers: [], search: [] };
  for (const line of text.slice(0, MOST_BYTES).split("\n")) {
    const [keyword, ...values] = line.trimEnd().split(/[ \t]+/);
    if (keyword === "nameserver" && values[0]) {
      const resolver = parseResolver(values[0]);
      if (resolver && file.nameservers.length < MOST_NAMESERVERS) file.nameservers.push(resolver);
    } else if (keyword === "search" || keyword === "domain") {
      const domains = values.filter(value => /^[\w-]+(\.[\w-]+)*\.?$/.test(value));
      file.search = keyword === "domain" ? domains.slice(0, 1) : domains;
    }
  }
  return file;
}

function parseResolver(text: string): Resolver | undefined {
  const [address = "", zone = ""] = text.split("%");
  const ip = parseIP(address);
  if (!ip || (text.includes("%") && (ip.family !== 6 || !/^[^\s/]{1,15}$/.test(zone)))) return undefined;
  return { ip, zone };
}

/** With no resolver named, the C library asks the local machine. */
const LOCAL: Resolver = { ip: parseIP("127.0.0.1")!, zone: "" };

export class ResolvConf implements Disposable {
  nameservers: readonly Resolver[] = [LOCAL];
  search: readonly string[] = [];
  private readonly inotify: Inotify | undefined;
  /** By watch number: the names that matter in that directory. */
  private readonly watched = new Map<number, Set<string>>();

  constructor(
    private readonly loop: Loop,
    private readonly path = "/etc/resolv.conf",
  ) {
    try {
      this.inotify = new Inotify();
      loop.watch(this.inotify.fd, EPOLL.IN, () => this.changed());
    } catch (error) {
      log.warn(`changes of ${path} will not be seen: ${errorText(error)}`);
    }
    this.read();
  }

  private changed(): void {
    const changes = this.inotify?.changes() ?? [];
    if (changes.some(change => this.watched.get(change.watch)?.has(change.name))) this.read();
  }

  private read(): void {
    // Watched first: a change between the two is then told and read again.
    this.watchAll();
    try {
      const file = parseResolvConf(readFileSync(this.path, "utf8"));
      this.nameservers = file.nameservers.length > 0 ? file.nameservers : [LOCAL];
      this.search = file.search;
      log.debug(`${this.path}: resolvers ${this.nameservers.map(one => formatIP(one.ip)).join(" ")}`);
    } catch (error) {
      // Between the removal of the old file and the arrival of the new one the old resolvers stay.
      log.debug(`${this.path}: ${errorText(error)}`);
    }
  }

  private watchAll(): void {
    const { inotify } = this;
    if (!inotify) return;
    const wanted = new Map<number, Set<string>>();
    for (const file of links(this.path))
      try {
        const watch = inotify.watchDirectory(dirname(file));
        const names = wanted.get(watch) ?? new Set();
        wanted.set(watch, names.add(basename(file)));
      } catch (error) {
        log.debug(errorText(error));
      }
    for (const watch of this.watched.keys()) if (!wanted.has(watch)) inotify.unwatch(watch);
    this.watched.clear();
    for (const [watch, names] of wanted) this.watched.set(watch, names);
  }

  [Symbol.dispose](): void {
    if (!this.inotify) return;
    this.loop.unwatch(this.inotify.fd);
    this.inotify[Symbol.dispose]();
  }
}

/** The path and what each symbolic link on the way leads to; ends at a file, at nothing, or after 40 links. */
function links(path: string): string[] {
  const files = [resolve(path)];
  for (let count = 0; count < 40; count++) {
    const last = files.at(-1)!;
    try {
      if (!lstatSync(last).isSymbolicLink()) break;
      files.push(resolve(dirname(last), readlinkSync(last)));
    } catch {
      break;
    }
  }
  return files;
}
