/** static: addresses, routes and DNS written in the configuration, or asked for by the runtime. Keeps no state. */
import { type Cidr, contains, formatCidr, formatIP, parseCidr, parseIP } from "../../wire/addr.ts";
import { CNI_ERROR, CniError, type Dns, type PluginConf, type ResultIp, type ResultRoute } from "../types.ts";
import { checkFields, type Field } from "./field.ts";
import { emptyResult, type Plugin, type PluginContext } from "./plugin.ts";
import { readRoutes } from "./routes.ts";

interface StaticConf {
  addresses?: { address: string; gateway?: string }[];
  routes?: ResultRoute[];
  dns?: Dns;
}

/** Below `ipam`. */
const OWN: readonly Field[] = [
  {
    name: "addresses",
    type: "objects",
    default: "none",
    text: "Addresses, each `{address, gateway}`: `address` with its prefix, `gateway` where there is one.",
  },
  {
    name: "routes",
    type: "objects",
    default: "none",
    text: "Routes that the interface gets, each `{dst, gw, mtu, priority, table, …}`.",
  },
  {
    name: "dns",
    type: "object",
    default: "none",
    text: "`{nameservers, domain, search, options}`, handed on as they are.",
  },
];
const DNS: readonly Field[] = [
  { name: "nameservers", type: "strings", text: "" },
  { name: "domain", type: "string", text: "" },
  { name: "search", type: "strings", text: "" },
  { name: "options", type: "strings", text: "" },
];
const FIELDS: readonly Field[] = [
  ...OWN.map(one => ({ ...one, name: `ipam.${one.name}` })),
  {
    name: "args.cni.ips",
    type: "strings",
    text: "Addresses with their prefixes, instead of those of the configuration and of `CNI_ARGS`.",
  },
  {
    name: "runtimeConfig.ips",
    type: "strings",
    text: "The same, and these win (capability `ips`).",
  },
];

const invalid = (message: string) => new CniError(CNI_ERROR.INVALID_CONFIG, message);
const parts = (text: string | undefined) => (text ? text.split(",").map(one => one.trim()) : []);

interface Chosen {
  cidr: Cidr;
  gateway?: string;
}

function chosen(text: unknown, broken: string): Chosen {
  const cidr = typeof text === "string" ? parseCidr(text) : undefined;
  if (!cidr) throw invalid(`${broken} in CIDR notation, got: '${text ?? ""}'`);
  return { cidr };
}

function gatewayOf(text: unknown, broken: string) {
  const ip = typeof text === "string" ? parseIP(text) : undefined;
  if (!ip) throw invalid(`${broken}: ${text}`);
  return ip;
}

/** Those that CNI_ARGS add; a gateway of theirs goes to the addresses that can reach it. */
function fromArgs({ args }: PluginContext): Chosen[] {
  const list = parts(args.IP).map(text => chosen(text, "the 'ip' field is expected to be"));
  for (const gateway of parts(args.GATEWAY).map(text => gatewayOf(text, "invalid gateway address")))
    for (const one of list) if (contains(one.cidr, gateway)) one.gateway = formatIP(gateway);
  return list;
}

function addressesOf(context: PluginContext, conf: StaticConf): ResultIp[] {
  const { cni } = (context.conf.args ?? {}) as { cni?: { ips?: string[] } };
  const asked = [context.runtimeConfig.ips as string[] | undefined, cni?.ips].find(one => one?.length);
  const list = asked
    ? asked.map(text => chosen(text, "an entry in the 'ips' field is NOT"))
    : [
        ...(conf.addresses ?? []).map(({ address, gateway }) => ({
          ...chosen(address, "the 'address' field is expected to be"),
          gateway: gateway && formatIP(gatewayOf(gateway, "invalid IP address")),
        })),
        ...fromArgs(context),
      ];
  for (const family of [4, 6])
    if (
      /^0\.[12]\.0$/.test(context.cniVersion) &&
      list.filter(one => one.cidr.ip.family === family).length > 1
    )
      throw invalid(`CNI version ${context.cniVersion} does not support more than 1 address per family`);
  return list.map(({ cidr, gateway }) => ({ address: formatCidr(cidr), gateway }));
}

function confOf({ ipam }: PluginConf): StaticConf {
  if (!ipam) throw invalid("IPAM config missing 'ipam' key");
  checkFields(OWN, ipam as PluginConf);
  const conf = ipam as StaticConf;
  checkFields(DNS, (conf.dns ?? {}) as PluginConf);
  readRoutes(conf.routes);
  return conf;
}

export const staticIpam: Plugin = {
  fields: FIELDS,
  add(context) {
    const conf = confOf(context.conf);
    const ips = addressesOf(context, conf);
    return { ...emptyResult(context.cniVersion), ips, routes: conf.routes ?? [], dns: conf.dns ?? {} };
  },
  del() {},
  check(context) {
    if (!context.prevResult) throw invalid("Required prevResult missing");
    for (const { address, gateway } of addressesOf(context, confOf(context.conf))) {
      const found = context.prevResult.ips.filter(one => one.address === address);
      if (!found.some(one => !gateway || one.gateway === gateway))
        throw new CniError(
          CNI_ERROR.INTERNAL,
          `static: Failed to match addr ${address.split("/")[0]} on interface ${context.ifName}`,
        );
    }
  },
  status: context => void confOf(context.conf),
};
