/** tuning: sysctls of the namespace, and MAC, MTU and modes of the interface. All of it dies with the namespace. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { linkByName, setLink } from "../../netlink/link.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import * as netns from "../../sys/netns.ts";
import { CNI_ERROR, CniError } from "../types.ts";
import { emptyResult, type Plugin, type PluginContext } from "./plugin.ts";

interface TuningConf {
  sysctl?: Record<string, string>;
  mac?: string;
  mtu?: number;
  promisc?: boolean;
  allmulti?: boolean;
  txQLen?: number;
}

const ALLOW_LIST = "/etc/cni/tuning/allowlist.conf";

/** `net.ipv4.conf.IFNAME.arp_notify` → the file's path; only below /proc/sys/net. */
function sysctlPath(name: string, ifName: string): string {
  const path = (name.includes("/") ? name : name.replaceAll(".", "/")).replace("IFNAME", ifName);
  if (!path.startsWith("net/") || path.split("/").includes(".."))
    throw new CniError(CNI_ERROR.INVALID_CONFIG, `invalid net sysctl key: ${JSON.stringify(name)}`);
  if (existsSync(ALLOW_LIST)) {
    const patterns = readFileSync(ALLOW_LIST, "utf8")
      .split("\n")
      .filter(line => line.trim() !== "");
    if (!patterns.some(pattern => new RegExp(pattern).test(name)))
      throw new CniError(CNI_ERROR.INVALID_CONFIG, `sysctl ${name} is not in the allowlist ${ALLOW_LIST}`);
  }
  return `/proc/sys/${path}`;
}

const confOf = (context: PluginContext) => context.conf as unknown as TuningConf;
const macOf = (context: PluginContext) =>
  (context.runtimeConfig.mac as string | undefined) ?? context.args.MAC ?? confOf(context).mac;

export const tuning: Plugin = {
  add(context) {
    const conf = confOf(context);
    const result = context.prevResult ?? emptyResult(context.cniVersion);
    const mac = macOf(context);
    const files = Object.entries(conf.sysctl ?? {}).map(([name, text]) => ({
      path: sysctlPath(name, context.ifName),
      text,
    }));
    if (
      files.length === 0 &&
      !mac &&
      conf.mtu === undefined &&
      conf.promisc === undefined &&
      conf.allmulti === undefined &&
      conf.txQLen === undefined
    )
      return result;
    netns.run(context.netns, () => {
      for (const { path, text } of files) writeFileSync(path, String(text));
      using nl = new NetlinkSocket();
      const link = linkByName(nl, context.ifName);
      if (!link) throw new CniError(CNI_ERROR.INTERNAL, `no interface ${context.ifName} in the namespace`);
      // Some drivers refuse a new address while the link is up; veth does not, and routes would be lost by taking it down.
      setLink(nl, link.index, {
        mac: mac && mac.toLowerCase() !== link.mac ? mac : undefined,
        mtu: conf.mtu,
        promisc: conf.promisc,
        allMulticast: conf.allmulti,
        txQueueLength: conf.txQLen,
      });
    });
    for (const one of result.interfaces) {
      if (one.name !== context.ifName || !one.sandbox) continue;
      if (mac) one.mac = mac.toLowerCase();
      if (conf.mtu !== undefined) one.mtu = conf.mtu;
    }
    return result;
  },
  del() {},
  check(context) {
    netns.run(context.netns, () => {
      for (const [name, text] of Object.entries(confOf(context).sysctl ?? {})) {
        const found = readFileSync(sysctlPath(name, context.ifName), "utf8").trim();
        if (found !== String(text))
          throw new CniError(CNI_ERROR.INTERNAL, `sysctl ${name} is ${found}, not ${text}`);
      }
    });
  },
};
