/**
 * dnsname: names of this network's containers are told at the bridge's addresses. Podman's plugin of this name runs a
 * dnsmasq a network; here the engine has a resolver listen there, and the plugin sees to it that there is an address, also
 * on an internal network, whose bridge is nobody's gateway.
 */
import { linkByName } from "../../netlink/link.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { holdGateway } from "./gateway.ts";
import { emptyResult, type Plugin } from "./plugin.ts";

export const dnsname: Plugin = {
  add({ conf, cniVersion, prevResult }) {
    const result = prevResult ?? emptyResult(cniVersion);
    const nameservers = result.ips.flatMap(one => one.gateway ?? []);
    if (nameservers.length === 0) return result;
    using nl = new NetlinkSocket();
    const name = result.interfaces.find(one => !one.sandbox)?.name;
    const bridge = name ? linkByName(nl, name) : undefined;
    if (bridge?.kind !== "bridge") return result;
    holdGateway(nl, {}, bridge, result);
    const domain = typeof conf.domainName === "string" && conf.domainName ? conf.domainName : "dns.podman";
    return { ...result, dns: { nameservers, domain, search: [domain] } };
  },
  del() {},
  check() {},
};
