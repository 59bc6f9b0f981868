/** bridge's configuration: its fields, and what of them goes together. Pure. */
import type { VlanRange } from "../../netlink/bridge-vlan.ts";
import { CNI_ERROR, CniError, type PluginConf } from "../types.ts";
import { checkFields, type Field } from "./field.ts";
import type { PluginContext } from "./plugin.ts";

export interface BridgeConf {
  bridge: string;
  isGateway: boolean;
  isDefaultGateway?: boolean;
  forceAddress?: boolean;
  ipMasq?: boolean;
  mtu?: number;
  hairpinMode?: boolean;
  promiscMode?: boolean;
  portIsolation?: boolean;
  macspoofchk?: boolean;
  enabledad?: boolean;
  disableContainerInterface?: boolean;
  /** Absent for none. */
  vlan?: number;
  /** Numbers in order, none twice; empty for no trunk. */
  trunk: VlanRange[];
  preserveDefaultVlan: boolean;
  dns?: Record<string, unknown>;
}

export const FIELDS: readonly Field[] = [
  { name: "bridge", type: "string", default: "cni0", text: "The bridge; it is made where it is missing." },
  {
    name: "isGateway",
    type: "boolean",
    default: "false",
    text: "The bridge has the gateway's address, and the host forwards.",
  },
  {
    name: "isDefaultGateway",
    type: "boolean",
    default: "false",
    text: "`isGateway`, and the container's default route leads there.",
  },
  {
    name: "forceAddress",
    type: "boolean",
    default: "false",
    text: "An address of the bridge that stands in the gateway's way is removed; otherwise it is an error.",
  },
  {
    name: "ipMasq",
    type: "boolean",
    default: "false",
    text: "What leaves the network carries the host's address.",
  },
  {
    name: "ipMasqBackend",
    type: "string",
    text: "Who keeps the rules for that: `nftables` or `iptables`; absent, whoever called decides (docs/cni/portmap.md).",
  },
  {
    name: "mtu",
    type: "integer",
    default: "the kernel's",
    text: "The MTU of both ends, and of the bridge when it is made.",
  },
  {
    name: "hairpinMode",
    type: "boolean",
    default: "false",
    text: "A container reaches itself by way of the bridge, as at a port that it has published.",
  },
  {
    name: "promiscMode",
    type: "boolean",
    default: "false",
    text: "The bridge takes every frame for itself too. Not together with `hairpinMode`.",
  },
  {
    name: "vlan",
    type: "integer",
    default: "none",
    text: "The container is on this VLAN of the bridge, 1 to 4094, and the gateway's address on a link `BRIDGE.VLAN`.",
  },
  {
    name: "vlanTrunk",
    type: "objects",
    text: "Tagged VLANs that reach the container: `id`, or `minID` and `maxID`. Not together with `vlan`.",
  },
  {
    name: "preserveDefaultVlan",
    type: "boolean",
    default: "true",
    text: "With `vlan` or `vlanTrunk`, the container stays on the bridge's default VLAN as well.",
  },
  {
    name: "macspoofchk",
    type: "boolean",
    default: "false",
    text: "Frames from the container with another hardware address than its own are dropped.",
  },
  {
    name: "enabledad",
    type: "boolean",
    default: "false",
    text: "IPv6 addresses are used only once nobody else was found to have them; ADD waits for that, five seconds at most.",
  },
  {
    name: "disableContainerInterface",
    type: "boolean",
    default: "false",
    text: "The container's end stays down. Not together with `ipam`.",
  },
  {
    name: "portIsolation",
    type: "boolean",
    default: "false",
    text: "Containers of this bridge with the field don't reach each other by it.",
  },
  {
    name: "args.cni.mac",
    type: "string",
    text: "The container's hardware address; CNI_ARGS `MAC` is weaker.",
  },
  {
    name: "runtimeConfig.mac",
    type: "string",
    text: "The same by the capability `mac`, stronger than the others.",
  },
];

const invalid = (message: string) => new CniError(CNI_ERROR.INVALID_CONFIG, message);
const isVlan = (id: unknown): id is number =>
  Number.isSafeInteger(id) && Number(id) > 0 && Number(id) <= 4094;

/** The VLANs of `vlanTrunk`, in order and joined where they touch. Throws in Go's words. */
export function readTrunk(items: unknown): VlanRange[] {
  const ids = new Set<number>();
  for (const item of (items ?? []) as { minID?: number; maxID?: number; id?: number }[]) {
    const { minID, maxID, id } = item;
    const [hasMin, hasMax, hasId] = [minID, maxID, id].map(one => one !== undefined && one !== null);
    if (hasMin !== hasMax)
      throw invalid(
        `minID and maxID should be configured simultaneously, ${hasMin ? "maxID" : "minID"} is missing`,
      );
    if (hasMin) {
      if (!isVlan(minID)) throw invalid("incorrect trunk minID parameter");
      if (!isVlan(maxID)) throw invalid("incorrect trunk maxID parameter");
      if (maxID < minID) throw invalid("minID is greater than maxID in trunk parameter");
      for (let one = minID; one <= maxID; one++) ids.add(one);
    }
    if (!hasId) continue;
    if (!isVlan(id)) throw invalid("incorrect trunk id parameter");
    ids.add(id);
  }
  const ranges: VlanRange[] = [];
  for (const id of [...ids].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last?.last === id - 1) last.last = id;
    else ranges.push({ first: id, last: id });
  }
  return ranges;
}

/** Reads and judges a configuration. Throws a CniError. */
export function readConf(conf: PluginConf): BridgeConf {
  checkFields(FIELDS, conf);
  const given = conf as unknown as Partial<BridgeConf> & { vlanTrunk?: unknown };
  const vlan = given.vlan ?? 0;
  if (vlan < 0 || vlan > 4094) throw invalid(`invalid VLAN ID ${vlan} (must be between 0 and 4094)`);
  const trunk = readTrunk(given.vlanTrunk);
  if (vlan > 0 && trunk.length > 0) throw invalid("cannot set vlan and vlanTrunk at the same time");
  if (given.hairpinMode && given.promiscMode)
    throw invalid("cannot set hairpin mode and promiscuous mode at the same time");
  if (given.disableContainerInterface && conf.ipam?.type)
    throw invalid("cannot use IPAM when DisableContainerInterface flag is set");
  return {
    ...given,
    bridge: given.bridge || "cni0",
    isGateway: Boolean(given.isGateway || given.isDefaultGateway),
    vlan: vlan || undefined,
    trunk,
    preserveDefaultVlan: given.preserveDefaultVlan ?? true,
  };
}

/** The hardware address that the container is to have; the kernel's choice where nobody says. */
export function macOf({ conf, args, runtimeConfig }: PluginContext): string | undefined {
  const older = conf.args as { cni?: { mac?: string } } | undefined;
  return (runtimeConfig.mac as string | undefined) || older?.cni?.mac || args.MAC || undefined;
}
