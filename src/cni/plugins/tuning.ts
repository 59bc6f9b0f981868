/** tuning: sysctls of the namespace, and MAC, MTU, modes and queue of the interface that another plugin made. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { errorText, hasCode } from "../../base/errors.ts";
import { log } from "../../base/log.ts";
import { type Link, type LinkChange, linkByName, setLink } from "../../netlink/link.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import * as netns from "../../sys/netns.ts";
import { parseMac } from "../../wire/addr.ts";
import { DATA_DIRECTORY } from "../foreign.ts";
import { CNI_ERROR, CniError, type PluginConf } from "../types.ts";
import { checkFields, type Field } from "./field.ts";
import type { Plugin, PluginContext } from "./plugin.ts";
import { checkAllowed, duplicateSysctl, sysctlPath } from "./sysctl-keys.ts";

const FIELDS: readonly Field[] = [
  {
    name: "sysctl",
    type: "map",
    default: "none",
    text: "Keys below `net` with their values; `IFNAME` in a key is the interface.",
  },
  { name: "mac", type: "string", default: "unchanged", text: "Hardware address." },
  { name: "mtu", type: "integer", default: "unchanged", text: "Bytes of a packet; 0 leaves it." },
  { name: "promisc", type: "boolean", default: "unchanged", text: "Promiscuous mode on." },
  { name: "allmulti", type: "boolean", default: "unchanged", text: "All-multicast mode on or off." },
  { name: "txQLen", type: "integer", default: "unchanged", text: "Packets that the transmit queue holds." },
  {
    name: "dataDir",
    type: "string",
    default: "/run/cni/tuning",
    text: "Where the values before are kept for DEL.",
  },
  {
    name: "args.cni",
    type: "object",
    text: "`sysctl`, `mac`, `mtu`, `promisc`, `allmulti`, `txQLen` once more; these win over all others.",
  },
  {
    name: "runtimeConfig.mac",
    type: "string",
    text: "Wins over `MAC` of `CNI_ARGS`, which wins over `mac` (capability `mac`).",
  },
];

interface Wanted {
  sysctl?: Record<string, string>;
  mac?: string;
  mtu?: number;
  promisc?: boolean;
  allmulti?: boolean;
  txQLen?: number;
}
/** What the backup file holds: the interface before, in the order of Go's keys. */
type Before = Omit<Wanted, "sysctl">;

const invalid = (message: string) => new CniError(CNI_ERROR.INVALID_CONFIG, message);
const failed = (message: string) => new CniError(CNI_ERROR.INTERNAL, message);

/** The configuration, and over it what the runtime and the person ask for. */
function wantedBy(context: Pick<PluginContext, "conf"> & Partial<PluginContext>): Wanted {
  const conf = context.conf as PluginConf & Wanted;
  const over = (conf.args as { cni?: Wanted } | undefined)?.cni ?? {};
  for (const one of [conf, over as PluginConf]) checkFields(FIELDS, one);
  const asked = context.runtimeConfig?.mac as string | undefined;
  const wanted: Wanted = {
    sysctl: { ...conf.sysctl, ...over.sysctl },
    mac: over.mac ?? (asked || context.args?.MAC || conf.mac || undefined),
    mtu: (over.mtu ?? conf.mtu) || undefined,
    promisc: over.promisc ?? conf.promisc,
    allmulti: over.allmulti ?? conf.allmulti,
    txQLen: over.txQLen ?? conf.txQLen,
  };
  if (wanted.mac && !parseMac(wanted.mac))
    throw invalid(`invalid args ${wanted.mac} for MAC addr: address ${wanted.mac}: invalid MAC address`);
  checkAllowed(Object.keys(wanted.sysctl!));
  return wanted;
}

/** The files to write, in the order of the configuration. */
function sysctlsOf(context: PluginContext, { sysctl = {} }: Wanted) {
  const twice = context.source === undefined ? undefined : duplicateSysctl(context.source);
  const files = Object.entries(sysctl).map(([key, text]) => ({
    key,
    path: sysctlPath(key, context.ifName),
    text: String(text),
  }));
  const again = files.find(({ path }, index) => files.findIndex(one => one.path === path) < index)?.key;
  if (twice ?? again) throw invalid(`duplicate sysctl key: ${JSON.stringify(twice ?? again)}`);
  return files;
}

const changeOf = (one: Before): LinkChange => ({
  mtu: one.mtu,
  mac: one.mac,
  promisc: one.promisc,
  allMulticast: one.allmulti,
  txQueueLength: one.txQLen,
});

/** What DEL must set again: the values before, of those that change. */
function before(link: Link, wanted: Wanted): Before {
  const kept: Before = {};
  if (wanted.mac && wanted.mac.toLowerCase() !== link.mac) kept.mac = link.mac;
  if (wanted.promisc && !link.promisc) kept.promisc = link.promisc;
  if (wanted.mtu && wanted.mtu !== link.mtu) kept.mtu = link.mtu;
  if (wanted.allmulti !== undefined && wanted.allmulti !== link.allMulticast)
    kept.allmulti = link.allMulticast;
  if (wanted.txQLen !== undefined && wanted.txQLen !== link.txQueueLength) kept.txQLen = link.txQueueLength;
  return kept;
}

const USUAL_DIRECTORY = "/run/cni/tuning";

/** Where backups are, and whether that is nobody's choice, so that nobody misses the directory when it is empty. */
function directoryOf({ conf, dataDirectory }: PluginContext): { path: string; isUsual: boolean } {
  if (conf.dataDir) return { path: conf.dataDir as string, isUsual: false };
  const isRoots = dataDirectory === DATA_DIRECTORY;
  return { path: isRoots ? USUAL_DIRECTORY : join(dirname(dataDirectory), "tuning"), isUsual: true };
}

/** One file an attachment, as Go's plugin names it, so that either takes back what the other did. */
const backupFile = (context: PluginContext) =>
  join(directoryOf(context).path, `${context.containerId}_${context.ifName}.json`);

function keep(context: PluginContext, kept: Before): void {
  const file = backupFile(context);
  // One that is there is of an ADD that nobody took back, and of another interface.
  if (Object.keys(kept).length === 0) {
    rmSync(file, { force: true });
    return;
  }
  for (let attempts = 1; ; attempts++)
    try {
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      writeFileSync(file, JSON.stringify(kept, undefined, 1), { mode: 0o600 });
      return;
    } catch (error) {
      // Another's DEL may have found the directory empty in between.
      if (!hasCode(error, "ENOENT") || attempts === 3) throw error;
    }
}

/** Removes the backup, and the directories with the last one. */
function forget(context: PluginContext): void {
  const { path, isUsual } = directoryOf(context);
  rmSync(backupFile(context), { force: true });
  try {
    if (isUsual) rmdirSync(path);
    if (isUsual && path === USUAL_DIRECTORY) rmdirSync(dirname(path));
  } catch {
    // Others have something there.
  }
}

/** The file's name is what a person needs to know of a sysctl that is not there or has no such value. */
function write(path: string, text: string): void {
  if (!existsSync(path)) throw failed(`open ${path}: no such file or directory`);
  try {
    writeFileSync(path, text);
  } catch (error) {
    const why = hasCode(error, "EINVAL") ? "invalid argument" : errorText(error);
    throw failed(`write ${path}: ${why}`);
  }
}

/** Has the kernel tell the neighbours of a new hardware address while `change` is made, whatever it does otherwise. */
function announced(name: string, change: () => void): void {
  const switches = [`ipv4/conf/${name}/arp_notify`, `ipv6/conf/${name}/ndisc_notify`]
    .map(path => `/proc/sys/net/${path}`)
    .filter(path => existsSync(path))
    .map(path => ({ path, usual: readFileSync(path, "utf8") }));
  for (const { path } of switches) writeFileSync(path, "1");
  try {
    change();
  } finally {
    for (const { path, usual } of switches) writeFileSync(path, usual);
  }
}

export const tuning: Plugin = {
  fields: FIELDS,
  add(context) {
    if (!context.prevResult) throw invalid("Required prevResult missing");
    const result = context.prevResult;
    const wanted = wantedBy(context);
    const files = sysctlsOf(context, wanted);
    const { sysctl: _, mac, ...rest } = wanted;
    const change = { ...rest, promisc: rest.promisc || undefined };
    const changesLink = mac !== undefined || Object.values(change).some(one => one !== undefined);
    if (files.length === 0 && !changesLink) return result;
    netns.run(context.netns, () => {
      for (const { path, text } of files) write(path, text);
      if (!changesLink) return;
      using nl = new NetlinkSocket();
      const link = linkByName(nl, context.ifName);
      if (!link) throw failed(`failed to get ${JSON.stringify(context.ifName)}: Link not found`);
      keep(context, before(link, wanted));
      // Some drivers refuse a new address while the link is up; veth does not, and routes would be lost by taking it down.
      if (mac && mac.toLowerCase() !== link.mac) announced(link.name, () => setLink(nl, link.index, { mac }));
      setLink(nl, link.index, changeOf(change));
    });
    for (const one of result.interfaces) {
      if (one.name !== context.ifName || !one.sandbox) continue;
      if (mac) one.mac = mac.toLowerCase();
      if (wanted.mtu) one.mtu = wanted.mtu;
    }
    return result;
  },

  del(context) {
    let kept: Before;
    try {
      kept = JSON.parse(readFileSync(backupFile(context), "utf8")) as Before;
    } catch (error) {
      if (!hasCode(error, "ENOENT")) forget(context);
      return;
    }
    if (context.netns && netns.isNetns(context.netns))
      netns.run(context.netns, () => {
        using nl = new NetlinkSocket();
        const link = linkByName(nl, context.ifName);
        for (const [key, one] of link ? Object.entries(kept) : [])
          try {
            setLink(nl, link!.index, changeOf({ [key]: one }));
          } catch (error) {
            log.debug(`${key} of ${context.ifName} stays as it is: ${errorText(error)}`);
          }
      });
    forget(context);
  },

  check(context) {
    if (!context.prevResult) throw invalid("Required prevResult missing");
    const wanted = wantedBy(context);
    const words = (text: string) => text.trim().replaceAll(/\s+/g, " ");
    netns.run(context.netns, () => {
      for (const { path, text } of sysctlsOf(context, wanted)) {
        const found = words(readFileSync(path, "utf8"));
        if (found !== words(text))
          throw failed(`Error: Tuning configured value of ${path} is ${text}, current value is ${found}`);
      }
      using nl = new NetlinkSocket();
      const link = linkByName(nl, context.ifName);
      if (!link) throw failed(`Cannot find container link ${context.ifName}`);
      if (wanted.promisc !== undefined && wanted.promisc !== link.promisc)
        throw failed(
          `Error: Tuning link ${context.ifName} configured promisc is ${wanted.promisc}, current value is ${Number(link.promisc)}`,
        );
      for (const [what, want, found] of [
        ["Ethernet", wanted.mac?.toLowerCase(), link.mac],
        ["MTU", wanted.mtu, link.mtu],
        ["all-multicast mode", wanted.allmulti, link.allMulticast],
        ["transmit queue length", wanted.txQLen, link.txQueueLength],
      ] as const)
        if (want !== undefined && want !== found)
          throw failed(
            `Error: Tuning configured ${what} of ${context.ifName} is ${want}, current value is ${found}`,
          );
    });
  },

  status(context) {
    for (const key of Object.keys(wantedBy(context).sysctl!)) sysctlPath(key, "lo");
  },
};
