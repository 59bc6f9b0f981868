/** What portmap's configuration and the capability argument `portMappings` ask for. Pure. */
import type { Protocol, PublishedPort } from "../../firewall/ports.ts";
import { formatIP, parseIP } from "../../wire/addr.ts";
import { CNI_ERROR, CniError, type PluginConf, type PortMap } from "../types.ts";
import { checkFields, type Field } from "./field.ts";
import { backendOf, type Configured, type Publishing } from "./rules.ts";

export const PORTMAP_FIELDS: readonly Field[] = [
  {
    name: "backend",
    type: "string",
    default: "nftables; what the conditions are written in",
    text: "`nftables` or `iptables`: who keeps the rules.",
  },
  {
    name: "snat",
    type: "boolean",
    default: "true",
    text: "Connections from 127.0.0.1, from neighbours and from the container itself get the host's address, or no answer would come back.",
  },
  {
    name: "masqAll",
    type: "boolean",
    default: "false",
    text: "Every connection to a published port gets the host's address, whoever began it.",
  },
  {
    name: "markMasqBit",
    type: "integer",
    default: "13",
    text: "iptables: the bit of a packet's mark, 0 to 31, that says that it is to be masqueraded.",
  },
  {
    name: "externalSetMarkChain",
    type: "string",
    text: "iptables: a chain of somebody else's that sets his mark, such as Kubernetes' KUBE-MARK-MASQ. Not with `markMasqBit`.",
  },
  {
    name: "conditionsV4",
    type: "strings",
    text: "Words of a match that IPv4 packets must meet, in nft's language, or in iptables' where the first begins with `-` or `!`.",
  },
  { name: "conditionsV6", type: "strings", text: "The same for IPv6." },
  {
    name: "runtimeConfig.portMappings",
    type: "objects",
    text: "The ports: `hostPort`, `containerPort`, `protocol` (tcp, udp or sctp), `hostIP`; and `range`, ours, for as many ports in a row.",
  },
];

const invalid = (message: string) => new CniError(CNI_ERROR.INVALID_CONFIG, message);

const said = (port: unknown) => JSON.stringify(port) ?? "nothing";

/** What `portMappings` asks for. Throws a CniError where it makes no sense. */
export function readPortMappings(list: readonly PortMap[]): PublishedPort[] {
  return list.map(one => {
    const count = one.range ?? 1;
    const protocol = (one.protocol || "tcp").toLowerCase();
    const isPort = (port: unknown) =>
      Number.isInteger(port) && (port as number) >= 1 && (port as number) + count - 1 <= 65535;
    if (!Number.isInteger(count) || count < 1 || !isPort(one.hostPort) || !isPort(one.containerPort))
      throw invalid(
        `invalid port mapping ${said(one.hostPort)}:${said(one.containerPort)}${count === 1 ? "" : ` of ${count} ports`}`,
      );
    if (!["tcp", "udp", "sctp"].includes(protocol))
      throw invalid(`invalid protocol ${JSON.stringify(one.protocol)} of port ${one.hostPort}`);
    const published: PublishedPort = {
      protocol: protocol as Protocol,
      hostPort: one.hostPort,
      containerPort: one.containerPort,
      count,
    };
    if (one.hostIP) {
      const host = parseIP(one.hostIP);
      if (!host) throw invalid(`invalid host address ${JSON.stringify(one.hostIP)}`);
      const address = host.bytes.every(byte => byte === 0) ? undefined : formatIP(host);
      published.host = { version: host.family, address };
    }
    return published;
  });
}

const conditionsOf = (conf: PluginConf, key: string) => (conf[key] as string[] | null | undefined) ?? [];
const speaksIptables = (conditions: readonly string[]) => /^[-!]/.test(conditions[0]!);

/** How ports are to be published. Throws a CniError for what contradicts itself or its backend. */
export function readPublishing(context: Configured): Publishing {
  const { conf } = context;
  checkFields(PORTMAP_FIELDS, conf);
  const chain = (conf.externalSetMarkChain as string | null | undefined) || undefined;
  const bit = conf.markMasqBit as number | null | undefined;
  if (chain !== undefined && bit != null)
    throw invalid("Cannot specify externalSetMarkChain and markMasqBit");
  if (bit != null && (bit < 0 || bit > 31)) throw invalid("MasqMarkBit must be between 0 and 31");
  const conditions = { 4: conditionsOf(conf, "conditionsV4"), 6: conditionsOf(conf, "conditionsV6") };
  if (Object.values(conditions).some(list => list.some(one => /[\n;]/.test(one))))
    throw invalid("a condition can't hold a semicolon or the end of a line");
  return {
    backend: fittingBackend(context, conditions, chain !== undefined),
    snat: conf.snat !== false,
    masqueradeAll: conf.masqAll === true,
    markBit: bit ?? 13,
    externalSetMarkChain: chain,
    conditions,
  };
}

/** The backend that is asked for, or that the options are written for. */
function fittingBackend(
  context: Configured,
  conditions: Publishing["conditions"],
  markChain: boolean,
): Publishing["backend"] {
  const given = ([4, 6] as const).filter(version => conditions[version].length > 0);
  const names = (iptables: boolean) =>
    given
      .filter(version => speaksIptables(conditions[version]) === iptables)
      .map(version => `conditionsV${version}`);
  const forIptables = [...names(true), ...(markChain ? ["externalSetMarkChain"] : [])];
  const forNftables = names(false);
  if (forIptables.length > 0 && forNftables.length > 0)
    throw invalid(`${forIptables.join(", ")} ask for iptables, and ${forNftables.join(", ")} for nftables`);
  const asked = backendOf(context, "backend");
  // Our maps know ports and addresses, nothing else.
  const needsRules = forNftables.length > 0 || context.conf.masqAll === true;
  if (!context.conf.backend) return forIptables.length > 0 ? "iptables" : needsRules ? "nftables" : asked;
  const [other, options] = asked === "iptables" ? ["nftables", forNftables] : ["iptables", forIptables];
  if (options.length > 0)
    throw invalid(
      `${asked} backend was requested but configuration contains ${other}-specific options [${options.join(" ")}]`,
    );
  return asked === "portolan" && needsRules ? "nftables" : asked;
}
