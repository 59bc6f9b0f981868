/**
 * firewall: what lets a container's packets through the host's filter, and who may reach it, by `ingressPolicy`:
 *
 * - `open` (the default): everybody.
 * - `same-bridge`: not from other bridges with this policy. `isolated`: not from neighbours on the bridge either.
 *
 * Our own backend opens a filter that drops by policy and no other (`../../firewall/gate.ts`).
 */
import { type Element, sameValue } from "../../firewall/element.ts";
import { addSource, firewalldTrouble, hasSource, removeSource } from "../../firewall/firewalld.ts";
import { forwarded, isGuarded } from "../../firewall/gate.ts";
import { hasIptables, savedRules } from "../../firewall/iptables.ts";
import { forwardLines, isolationLines } from "../../firewall/iptables-forward.ts";
import { type IngressPolicy, isolated } from "../../firewall/isolation.ts";
import type { ContainerAddress } from "../../firewall/ports.ts";
import type { Saved } from "../../firewall/saved.ts";
import { Firewall, listElements } from "../../firewall/transaction.ts";
import { linkByName, links } from "../../netlink/link.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { CNI_ERROR, CniError, type PluginConf, type Result } from "../types.ts";
import { addressesOf } from "./address.ts";
import { checkFields, type Field } from "./field.ts";
import type { Plugin, PluginContext } from "./plugin.ts";
import { elementOwner, knownAddresses, removePart } from "./rules.ts";
import { requireNftables } from "./usable.ts";

const FIELDS: readonly Field[] = [
  {
    name: "backend",
    type: "string",
    default: "ours, in nftables",
    text: "`iptables` or `firewalld`: who lets the packets through.",
  },
  {
    name: "iptablesAdminChainName",
    type: "string",
    default: "CNI-ADMIN",
    text: "iptables: the chain of the administrator's own rules, asked first.",
  },
  {
    name: "firewalldZone",
    type: "string",
    default: "trusted",
    text: "firewalld: the zone that the container's addresses are put into.",
  },
  {
    name: "ingressPolicy",
    type: "string",
    default: "open",
    text: "`open`, `same-bridge` or `isolated`: who may begin a connection to the container.",
  },
];

type Backend = "own" | "iptables" | "firewalld";

interface FirewallConf {
  backend: Backend;
  adminChain: string;
  zone: string;
  policy: IngressPolicy | "open";
}

const invalid = (message: string) => new CniError(CNI_ERROR.INVALID_CONFIG, message);
const lost = (message: string) => new CniError(CNI_ERROR.INTERNAL, message);

function readConf(conf: PluginConf): FirewallConf {
  checkFields(FIELDS, conf);
  const named = conf.backend || "own";
  const backend =
    named === "nftables" ? "own" : (["own", "iptables", "firewalld"] as const).find(one => one === named);
  if (!backend)
    throw invalid(`unknown backend ${JSON.stringify(named)}: it can be iptables, firewalld or nothing`);
  const policy = conf.ingressPolicy || "open";
  if (policy !== "open" && policy !== "same-bridge" && policy !== "isolated")
    throw invalid(`unknown ingressPolicy ${JSON.stringify(policy)}: it can be open, same-bridge or isolated`);
  return {
    backend,
    adminChain: (conf.iptablesAdminChainName as string | undefined) || "CNI-ADMIN",
    zone: (conf.firewalldZone as string | undefined) || "trusted",
    policy,
  };
}

function resultOf(context: PluginContext): Result {
  if (!context.prevResult) throw invalid("missing prevResult from earlier plugin");
  return context.prevResult;
}

const lengthOf = ({ version }: ContainerAddress) => (version === 4 ? 32 : 128);
const sourceOf = (one: ContainerAddress) => `${one.address}/${lengthOf(one)}`;

/** The bridge that a policy is about; undefined where there is none to keep. */
function isolatedBridge(result: Result, { policy }: FirewallConf): string | undefined {
  if (policy === "open") return undefined;
  const bridge = result.interfaces[0];
  if (!bridge || bridge.sandbox)
    throw invalid(`ingressPolicy ${policy} needs a bridge before it in the chain`);
  return bridge.name;
}

/** The elements of our table that keep the policy. */
function policyElements(context: PluginContext, conf: FirewallConf): Element[] {
  const bridge = isolatedBridge(resultOf(context), conf);
  if (!bridge || conf.policy === "open") return [];
  const policy: IngressPolicy = conf.policy;
  return addressesOf(resultOf(context), context.ifName).flatMap(target =>
    isolated(elementOwner(context), bridge, target, policy),
  );
}

/** The lines that iptables lacks for the addresses of one family; none where everything is there. */
function iptablesLines(
  context: PluginContext,
  conf: FirewallConf,
  version: 4 | 6,
): ((saved: Saved) => string[]) | undefined {
  const result = resultOf(context);
  const mine = addressesOf(result, context.ifName).filter(one => one.version === version);
  const bridge = isolatedBridge(result, conf);
  if (mine.length === 0) return undefined;
  return ({ filter }) => [
    ...forwardLines(filter, mine, conf.adminChain),
    ...(bridge && conf.policy !== "open" ? isolationLines(filter, bridge, conf.policy) : []),
  ];
}

function admit(context: PluginContext): Result {
  const result = resultOf(context);
  const conf = readConf(context.conf);
  const addresses = addressesOf(result, context.ifName);
  if (conf.backend === "iptables") {
    for (const version of [4, 6] as const) {
      const lines = iptablesLines(context, conf, version);
      if (lines) context.firewall.addIptables({ version, table: "filter", lines });
    }
    return result;
  }
  context.firewall.add(...policyElements(context, conf));
  if (conf.backend === "firewalld") for (const one of addresses) addSource(conf.zone, sourceOf(one));
  else {
    const kernel = new Firewall();
    for (const one of addresses)
      if (isGuarded(kernel, one.version)) context.firewall.add(forwarded(elementOwner(context), one));
  }
  return result;
}

/** The bridge of a result, and whether nobody but this attachment is on it. */
function bridgeOf(result: Result | undefined): { name: string; isEmpty(): boolean } | undefined {
  const [bridge, ...own] = result?.interfaces ?? [];
  if (!bridge || bridge.sandbox) return undefined;
  return {
    name: bridge.name,
    isEmpty() {
      using nl = new NetlinkSocket();
      const master = linkByName(nl, bridge.name);
      return !links(nl).some(
        link =>
          link.master !== 0 && link.master === master?.index && !own.some(one => one.name === link.name),
      );
    },
  };
}

export const firewall: Plugin = {
  fields: FIELDS,
  add: admit,
  refresh(context) {
    removePart(context, "forward");
    admit(context);
  },

  del(context) {
    removePart(context, "forward", bridgeOf(context.prevResult));
    if (context.conf.backend !== "firewalld") return;
    const zone = (context.conf.firewalldZone as string | undefined) || "trusted";
    for (const one of knownAddresses(context)) removeSource(zone, sourceOf(one));
  },

  check(context) {
    const conf = readConf(context.conf);
    const id = context.containerId.slice(0, 12);
    if (conf.backend === "iptables") {
      for (const version of [4, 6] as const) {
        const [missing] = iptablesLines(context, conf, version)?.(savedRules(version)) ?? [];
        if (missing) throw lost(`container ${id} has lost a rule of iptables: ${missing}`);
      }
      return;
    }
    const wanted = policyElements(context, conf);
    const there = wanted.length > 0 ? listElements([...new Set(wanted.map(one => one.set))]) : [];
    for (const one of wanted)
      if (!there.some(other => other.set === one.set && sameValue(other.key, one.key)))
        throw lost(`container ${id} is not isolated any more`);
    if (conf.backend !== "firewalld") return;
    for (const one of addressesOf(resultOf(context), context.ifName))
      if (!hasSource(conf.zone, sourceOf(one)))
        throw lost(`failed to find the address ${sourceOf(one)} in ${conf.zone} zone`);
  },

  status({ conf }) {
    const { backend } = readConf(conf);
    const unavailable = (why: string) => new CniError(CNI_ERROR.NOT_AVAILABLE, why);
    if (backend === "iptables" && !hasIptables(4))
      throw unavailable("the configuration asks for iptables, and iptables-restore is not there");
    const trouble = backend === "firewalld" ? firewalldTrouble() : undefined;
    if (trouble) throw unavailable(`the configuration asks for firewalld: ${trouble}`);
    if (backend !== "iptables") requireNftables();
  },
};
