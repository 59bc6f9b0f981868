/**
 * bandwidth: how fast a container may receive and send. Its packets leave by token buckets on links of the host: those to
 * the container by the host's end of its veth, those from it by a link made for that, which they are sent through.
 */
import { errorText, hasCode } from "../../base/errors.ts";
import { log } from "../../base/log.ts";
import { dropLink } from "../../netlink/drop-link.ts";
import { addRedirect, redirects } from "../../netlink/filter.ts";
import { type Link, linkByIndex, linkByName, links, setLink } from "../../netlink/link.ts";
import { addLink, knowsKind } from "../../netlink/new-link.ts";
import {
  addIngress,
  addTokenBucket,
  qdiscs,
  rootQdisc,
  type TokenBucket,
  tokenBucket,
} from "../../netlink/qdisc.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import * as netns from "../../sys/netns.ts";
import { CNI_ERROR, CniError, type PluginConf, type Result } from "../types.ts";
import { checkFields, type Field } from "./field.ts";
import { emptyResult, type Plugin, type PluginContext } from "./plugin.ts";

const KEYS = ["ingressRate", "ingressBurst", "egressRate", "egressBurst"] as const;
const FIELDS: readonly Field[] = [
  { name: "ingressRate", type: "integer", default: "no limit", text: "Bits a second to the container." },
  {
    name: "ingressBurst",
    type: "integer",
    default: "no limit",
    text: "Bits to the container that may come at once, below 4 GB; given with the rate or not at all.",
  },
  { name: "egressRate", type: "integer", default: "no limit", text: "Bits a second from the container." },
  { name: "egressBurst", type: "integer", default: "no limit", text: "Bits from it that may come at once." },
  {
    name: "runtimeConfig.bandwidth",
    type: "object",
    text: "The four of them, asked for by the runtime where the configuration has none (capability `bandwidth`).",
  },
];

/** How long a packet may wait, in microseconds, before others behind it are dropped. */
const LATENCY = 25_000;
const PREFIX = "bwp";
const U32_MAX = 0xffffffff;

const invalid = (message: string) => new CniError(CNI_ERROR.INVALID_CONFIG, message);
const failed = (message: string, details?: string) => new CniError(CNI_ERROR.INTERNAL, message, details);

type Attached = Pick<PluginContext, "network" | "containerId" | "ifName">;

/** Names of the link that a container sends through: Go's, and one for when another interface of it has that. */
function throughNames({ network, containerId, ifName }: Attached): [string, string] {
  const name = (text: string) =>
    PREFIX +
    new Bun.CryptoHasher("sha512")
      .update(text)
      .digest("hex")
      .slice(0, 15 - PREFIX.length);
  return [name(network + containerId), name(network + containerId + ifName)];
}

/** Says on the link itself whose it is: its name alone does not. */
const aliasOf = ({ network, containerId, ifName }: Attached) =>
  `bandwidth ${network} ${containerId} ${ifName}`.slice(0, 255);

/** The link of an attachment. One of Go's says nothing, and is taken for it by its name. */
const throughOf = (nl: NetlinkSocket, attached: Attached): Link | undefined =>
  throughNames(attached)
    .map(name => linkByName(nl, name))
    .find(one => one?.kind === "ifb" && (one.alias === "" || one.alias === aliasOf(attached)));

interface Limits {
  ingress?: TokenBucket;
  egress?: TokenBucket;
}

function bucketOf(rate = 0, burst = 0): TokenBucket | undefined {
  if (rate < 0 || burst < 0) throw invalid("rate and burst must be a positive integer");
  if (burst === 0 && rate !== 0) throw invalid("if rate is set, burst must also be set");
  if (rate === 0 && burst !== 0) throw invalid("if burst is set, rate must also be set");
  if (burst / 8 >= U32_MAX) throw invalid("burst cannot be more than 4GB");
  if (rate === 0) return undefined;
  const bytes = Math.trunc(rate / 8);
  if (bytes === 0) throw invalid(`a rate of ${rate} bits a second is less than a byte`);
  return tokenBucket(bytes, Math.trunc(burst / 8), LATENCY);
}

function limitsOf({ conf, runtimeConfig }: Pick<PluginContext, "conf"> & Partial<PluginContext>): Limits {
  checkFields(FIELDS, conf);
  const asked = { type: conf.type, bandwidth: runtimeConfig?.bandwidth };
  checkFields([{ name: "bandwidth", type: "object", text: "" }], asked);
  const given = KEYS.some(key => conf[key] !== undefined) ? conf : ((asked.bandwidth ?? {}) as PluginConf);
  checkFields(FIELDS, given);
  const [inRate, inBurst, outRate, outBurst] = KEYS.map(
    key => (given[key] ?? undefined) as number | undefined,
  );
  return { ingress: bucketOf(inRate, inBurst), egress: bucketOf(outRate, outBurst) };
}

/** The other end of the container's veth, which has to be one of the result's and here. */
function hostEnd(nl: NetlinkSocket, { netns: path, ifName }: PluginContext, result: Result): Link {
  if (result.interfaces.length === 0) throw failed("no interfaces provided");
  const inside = netns.run(path, () => {
    using there = new NetlinkSocket();
    return linkByName(there, ifName);
  });
  if (inside?.kind !== "veth" || inside.peerIndex <= 0)
    throw failed(
      `container interface ${ifName} has no veth peer: ` +
        (inside
          ? `it is of kind ${inside.kind || "hardware"}`
          : `could not look up "${ifName}": Link not found`),
    );
  const link = linkByIndex(nl, inside.peerIndex);
  if (!link) throw failed(`veth peer with index ${inside.peerIndex} is not in host ns`);
  if (!result.interfaces.some(one => !one.sandbox && one.name === link.name))
    throw failed("no veth peer of container interface found in host ns");
  return link;
}

/** Does a step in Go's words for it. A kernel may be built without a part of this, and says so in words of its own. */
function step<T>(what: string, module: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    const isUnknown = hasCode(error, "EOPNOTSUPP") || hasCode(error, "ENOENT");
    throw failed(`${what}: ${errorText(error)}`, isUnknown ? `the kernel may lack its module ${module}` : "");
  }
}

function limitEgress(nl: NetlinkSocket, host: Link, bucket: TokenBucket, context: PluginContext): Link {
  const [usual, other] = throughNames(context);
  const taken = linkByName(nl, usual);
  const name = taken?.alias && taken.alias !== aliasOf(context) ? other : usual;
  step("adding link", "ifb", () =>
    addLink(nl, { kind: "ifb", name, mtu: host.mtu, txQueueLength: 0, up: true }),
  );
  const through = linkByName(nl, name)!;
  try {
    setLink(nl, through.index, { alias: aliasOf(context) });
    step("create ingress qdisc", "sch_ingress", () => addIngress(nl, host.index));
    step("add filter", "cls_u32 or act_mirred", () => addRedirect(nl, host.index, through.index));
    step("create ifb qdisc", "sch_tbf", () => addTokenBucket(nl, through.index, bucket));
  } catch (error) {
    dropLink(nl, through.index);
    throw error;
  }
  return through;
}

function checkBucket(nl: NetlinkSocket, { index, name }: Link, wanted: TokenBucket): void {
  const found = rootQdisc(nl, index)?.bucket;
  if (!found) throw failed("Failed to find qdisc", `${name} has no token bucket`);
  for (const [what, key] of [
    ["Rate", "rate"],
    ["Limit", "limit"],
    ["Buffer", "buffer"],
  ] as const)
    if (found[key] !== wanted[key])
      throw failed(`${what} doesn't match`, `it is ${found[key]} on ${name}, not ${wanted[key]}`);
}

export const bandwidth: Plugin = {
  fields: FIELDS,
  add(context) {
    const { ingress, egress } = limitsOf(context);
    const result = context.prevResult;
    if (!ingress && !egress) return result ?? emptyResult(context.cniVersion);
    if (!result) throw invalid("must be called as chained plugin");
    using nl = new NetlinkSocket();
    const host = hostEnd(nl, context, result);
    if (ingress) step("create qdisc", "sch_tbf", () => addTokenBucket(nl, host.index, ingress));
    if (egress) {
      const { name, mac } = limitEgress(nl, host, egress, context);
      result.interfaces.push({ name, mac });
    }
    return result;
  },

  /** The host's end of the veth takes its bucket and filter along. */
  del(context) {
    using nl = new NetlinkSocket();
    const link = throughOf(nl, context);
    if (link) dropLink(nl, link.index);
  },

  check(context) {
    const { ingress, egress } = limitsOf(context);
    if (!context.prevResult) throw invalid("must be called as a chained plugin");
    if (!ingress && !egress) return;
    using nl = new NetlinkSocket();
    const host = hostEnd(nl, context, context.prevResult);
    if (ingress) checkBucket(nl, host, ingress);
    if (!egress) return;
    const through = throughOf(nl, context);
    if (!through) throw failed("get ifb device: Link not found", throughNames(context)[0]);
    checkBucket(nl, through, egress);
    if (!redirects(nl, host.index).includes(through.index))
      throw failed(`what comes from the container by ${host.name} is not sent through ${through.name}`);
  },

  /**
   * A link of ours says whose it is. One of Go's does not: it is nobody's once nothing is sent through it, since its veth
   * took the filter along. (While it is being made it has no bucket yet.)
   */
  gc({ network, valid }) {
    using nl = new NetlinkSocket();
    const all = links(nl).filter(one => one.kind === "ifb" && one.name.startsWith(PREFIX));
    const living = valid.map(one => ({ ...one, network }));
    const names = new Set(living.flatMap(throughNames));
    const aliases = new Set(living.map(aliasOf));
    const ours = all.filter(one => one.alias.startsWith(`bandwidth ${network} `) && !aliases.has(one.alias));
    const strangers = all.filter(
      one => one.alias === "" && !names.has(one.name) && rootQdisc(nl, one.index)?.kind === "tbf",
    );
    const used =
      strangers.length === 0
        ? []
        : qdiscs(nl).flatMap(one => (one.kind === "ingress" ? redirects(nl, one.index) : []));
    for (const one of [...ours, ...strangers.filter(one => !used.includes(one.index))]) {
      log.debug(`network ${network}: ${one.name} is nobody's any more`);
      dropLink(nl, one.index);
    }
  },

  status(context) {
    limitsOf(context);
    using nl = new NetlinkSocket();
    if (!knowsKind(nl, "ifb"))
      throw new CniError(
        CNI_ERROR.NOT_AVAILABLE,
        "the kernel has no links of kind ifb (module ifb), by which what containers send is limited",
      );
  },
};
