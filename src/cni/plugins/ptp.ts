/**
 * ptp: a veth pair as a line between container and host, without a bridge. All that the container sends goes to the
 * host's end, which is its gateway, also what is for neighbours in its own subnet; the host has a route to each address.
 */
import { hasCode } from "../../base/errors.ts";
import { addAddress, IFA_F } from "../../netlink/address.ts";
import { dropLink } from "../../netlink/drop-link.ts";
import { type Link, linkByName, setLink } from "../../netlink/link.ts";
import { addRoute, deleteRoute, type NewRoute } from "../../netlink/route.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { formatCidr, networkOf, parseCidr } from "../../wire/addr.ts";
import { CNI_ERROR, CniError, type Result, type ResultIp } from "../types.ts";
import { addressesOf } from "./address.ts";
import { attach, checkMtu, dropInside, giveBack, hasNetns, statusOf } from "./attach.ts";
import { checkAttached } from "./check-inside.ts";
import { checkFields, type Field } from "./field.ts";
import { allowForwarding } from "./forwarding.ts";
import { dropDead, dropForgotten, hostEndAlias } from "./host-end.ts";
import { addRouteBehind, sysctl } from "./inside.ts";
import type { Plugin, PluginContext } from "./plugin.ts";
import { backendOf, masquerade, removeMasquerade } from "./rules.ts";
import { requireBackend } from "./usable.ts";
import { awaitCarrier, makePair } from "./veth.ts";

interface PtpConf {
  ipMasq?: boolean;
  ipMasqBackend?: string;
  mtu?: number;
}

const confOf = (context: PluginContext) => context.conf as unknown as PtpConf;
const failed = (message: string) => new CniError(CNI_ERROR.INTERNAL, message);

function requireIpam({ conf }: Pick<PluginContext, "conf">): void {
  if (!conf.ipam?.type) throw new CniError(CNI_ERROR.INVALID_CONFIG, "ptp requires an IPAM configuration");
}

/** An address, its subnet and its gateway, each as a destination of routes. */
function line({ address, gateway }: ResultIp) {
  const cidr = parseCidr(address);
  if (!cidr) throw failed(`invalid address ${JSON.stringify(address)} from IPAM`);
  if (!gateway) throw failed(`IPAM gave no gateway for ${address}, and a ptp link needs one`);
  const whole = cidr.ip.family === 4 ? 32 : 128;
  const [ip] = address.split("/");
  return {
    family: cidr.ip.family,
    ip: ip!,
    gateway,
    host: `${ip}/${whole}`,
    gatewayHost: `${gateway}/${whole}`,
    subnet: formatCidr({ ip: networkOf(cidr), prefix: cidr.prefix }),
    isAlone: cidr.prefix === whole,
  };
}

function unlessThere(step: () => void): void {
  try {
    step();
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  }
}

/** Nothing is a neighbour but the gateway: the kernel's route to the subnet gives way to one by the gateway. */
function routeByGateway(nl: NetlinkSocket, link: Link, result: Result): void {
  for (const { ip, gateway, gatewayHost, subnet, isAlone } of result.ips.map(line)) {
    const add = (route: NewRoute) => addRouteBehind(nl, { ...route, index: link.index });
    if (!isAlone) deleteSubnetRoute(nl, link.index, subnet);
    add({ dst: gatewayHost, scope: "link", source: ip });
    if (!isAlone) add({ dst: subnet, gateway, source: ip });
  }
}

function deleteSubnetRoute(nl: NetlinkSocket, index: number, dst: string): void {
  try {
    deleteRoute(nl, { dst, index, scope: "link", protocol: "kernel" });
  } catch (error) {
    // A second address of the same subnet: the route has gone with the first.
    if (!hasCode(error, "ESRCH")) throw error;
  }
}

/** The host's end: the gateway's address, and a route to each of the container's. */
function setUpHostEnd(name: string, result: Result): void {
  using nl = new NetlinkSocket();
  const link = linkByName(nl, name);
  if (!link) throw failed(`failed to lookup ${JSON.stringify(name)}: it has gone`);
  const { index } = link;
  for (const { family, gatewayHost, host } of result.ips.map(line)) {
    const flags = family === 6 ? IFA_F.NODAD : 0;
    unlessThere(() => addAddress(nl, { index, address: gatewayHost, flags }));
    unlessThere(() => addRoute(nl, { dst: host, index, scope: family === 4 ? "host" : undefined }));
  }
  awaitCarrier(nl, index);
}

function make(context: PluginContext, conf: PtpConf) {
  const name = makePair(context, { mtu: conf.mtu });
  using nl = new NetlinkSocket();
  const { index, mac } = linkByName(nl, name)!;
  try {
    sysctl(`ipv6/conf/${name}/accept_ra`, "0");
    // While an end asks whether its link-local address is free (two seconds), it asks for no neighbour.
    sysctl(`ipv6/conf/${name}/accept_dad`, "0");
    setLink(nl, index, { up: true, alias: hostEndAlias(context) });
  } catch (error) {
    dropLink(nl, index);
    throw error;
  }
  return [{ name, mac }];
}

const FIELDS: readonly Field[] = [
  {
    name: "ipMasq",
    type: "boolean",
    default: "false",
    text: "What the container sends to elsewhere carries the host's address.",
  },
  {
    name: "ipMasqBackend",
    type: "string",
    text: "`iptables` or `nftables`: whose rules those are.",
  },
  { name: "mtu", type: "integer", default: "1500", text: "Largest packet in bytes, on both ends." },
  { name: "ipam", type: "object", text: "Where addresses come from, with a gateway each; needed." },
];

export const ptp: Plugin = {
  fields: FIELDS,

  add(context) {
    checkFields(FIELDS, context.conf);
    const conf = confOf(context);
    checkMtu(conf.mtu);
    requireIpam(context);
    return attach(context, {
      make: () => make(context, conf),
      beforeRoutes: routeByGateway,
      outside(result) {
        setUpHostEnd(result.interfaces[0]!.name, result);
        allowForwarding(result);
        if (conf.ipMasq) masquerade(context, addressesOf(result, context.ifName));
      },
    });
  },

  async del(context) {
    if (hasNetns(context)) dropInside(context);
    else dropForgotten(context);
    removeMasquerade(context);
    await giveBack(context);
  },

  gc(context) {
    dropDead(context);
  },

  refresh(context) {
    const result = context.prevResult!;
    allowForwarding(result);
    removeMasquerade(context);
    if (confOf(context).ipMasq) masquerade(context, addressesOf(result, context.ifName));
  },

  async check(context) {
    await checkAttached(context, "veth");
  },

  status(context) {
    statusOf("veth");
    if (context.conf.ipMasq) requireBackend(backendOf(context, "ipMasqBackend"));
  },
};
