/**
 * dnsname: names of this network's containers are told at the bridge's addresses. Podman's plugin of this name runs a
 * dnsmasq a network; here the network service (`../../netd/`) has a resolver listen there, and the plugin sees to it that
 * there is an address, also on an internal network, whose bridge is nobody's gateway. In the engine that is all: it tells
 * names itself. Elsewhere the plugin does, by `context.names`.
 */
import { errorText } from "../../base/errors.ts";
import { log } from "../../base/log.ts";
import { linkByName } from "../../netlink/link.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { formatCidr, networkOf, parseCidr, parseIP } from "../../wire/addr.ts";
import type { NameEntry } from "../name-book.ts";
import { CNI_ERROR, CniError, type PluginConf, type Result } from "../types.ts";
import { checkFields, type Field } from "./field.ts";
import { holdGateway } from "./gateway.ts";
import { emptyResult, type Plugin, type PluginContext } from "./plugin.ts";

const DOMAIN = "dns.podman";
const FIELDS: readonly Field[] = [
  {
    name: "domainName",
    type: "string",
    default: DOMAIN,
    text: "The domain that names are in. Names without a domain are answered too, and it is the one to search.",
  },
];
/** Labels of letters, digits, hyphens and underscores (RFC 1035, and what resolvers take besides). */
const NAME = /^(?=.{1,253}$)[a-z0-9_][a-z0-9_-]{0,62}(\.[a-z0-9_][a-z0-9_-]{0,62})*$/i;

const domainOf = (conf: PluginConf) => (conf.domainName as string | undefined) || DOMAIN;

export const dnsname: Plugin = {
  fields: FIELDS,

  async add(context) {
    const { conf, cniVersion, prevResult } = context;
    checkFields(FIELDS, conf);
    if (!NAME.test(domainOf(conf)))
      throw new CniError(
        CNI_ERROR.INVALID_CONFIG,
        `domainName ${JSON.stringify(conf.domainName)} is no domain`,
      );
    const names = await context.names?.();
    if (names && !prevResult) throw new CniError(CNI_ERROR.INTERNAL, "must be called as chained plugin");
    const result = prevResult ?? emptyResult(cniVersion);
    const listen = result.ips.flatMap(one => one.gateway ?? []);
    if (listen.length === 0 || !giveAddresses(result)) return result;
    const domain = domainOf(conf);
    if (!names) return { ...result, dns: { nameservers: listen, domain, search: [domain] } };
    await names.join(entryOf(context, result, listen));
    const { nameservers = [], search = [], options } = result.dns;
    const dns = { nameservers: [...listen, ...nameservers], domain, search: [domain, ...search], options };
    return { ...result, dns };
  },

  async del({ names, network, containerId, ifName }) {
    try {
      await (await names?.())?.leave(network, containerId, ifName);
    } catch (error) {
      // Whoever stops here leaves behind what the plugins before this one made.
      log.warn(
        `names of container ${containerId} on network ${network} are not taken back: ${errorText(error)}`,
      );
    }
  },

  async check({ names, network, containerId, prevResult }) {
    if (!names || !prevResult?.ips.some(one => one.gateway)) return;
    if (!(await (await names()).isTold(network, containerId)))
      throw new CniError(
        CNI_ERROR.INTERNAL,
        `names of container ${containerId} on network ${network} are not told`,
      );
  },

  async gc({ names, network, valid }) {
    const book = await names?.();
    for (const { containerId, ifName } of book?.entries(network) ?? [])
      if (!valid.some(one => one.containerId === containerId && one.ifName === ifName))
        await book!.leave(network, containerId, ifName);
  },
};

/** The bridge has the gateways' addresses from here on; false where there is no bridge. */
function giveAddresses(result: Result): boolean {
  using nl = new NetlinkSocket();
  const name = result.interfaces.find(one => !one.sandbox)?.name;
  const bridge = name ? linkByName(nl, name) : undefined;
  if (bridge?.kind !== "bridge") return false;
  holdGateway(nl, {}, bridge, result);
  return true;
}

function entryOf(context: PluginContext, result: Result, listen: readonly string[]): NameEntry {
  const { conf, network, containerId, ifName, args } = context;
  const own = result.ips.map(one => parseCidr(one.address)!);
  const address = (family: 4 | 6) => {
    const index = own.findIndex(one => one.ip.family === family);
    return result.ips[index]?.address.split("/")[0] ?? "";
  };
  return {
    network,
    containerId,
    ifName,
    names: [args.K8S_POD_NAME ?? "", ...aliasesOf(context)].filter(one => NAME.test(one)),
    ipv4: address(4),
    ipv6: address(6),
    domain: domainOf(conf),
    listen,
    subnets: own.map(one => formatCidr({ ...one, ip: networkOf(one) })),
    internal: !result.routes.some(({ dst }) => dst === "0.0.0.0/0" || dst === "::/0"),
    resolvers: (result.dns.nameservers ?? []).filter(one => parseIP(one)),
  };
}

/** A list, as the conventions have it, or podman's lists by network. */
function aliasesOf({ runtimeConfig, network }: PluginContext): string[] {
  const given = runtimeConfig.aliases as string[] | Record<string, string[]> | undefined;
  const list = Array.isArray(given) ? given : given?.[network];
  return Array.isArray(list) ? list.filter(one => typeof one === "string") : [];
}
