/** Whose rules they are, and the names that Go's plugins give to what belongs to an attachment. Pure. */
import { parseIP } from "../wire/addr.ts";
import type { ContainerAddress } from "./ports.ts";

export interface RuleOwner {
  network: string;
  containerId: string;
  ifName: string;
}

/** What a plugin looks after: masquerading, published ports, or who may forward packets to a container. */
export type Part = "masquerade" | "ports" | "forward";

/** What of an attachment is to go, in every backend. */
export interface Removal {
  owner: RuleOwner;
  part: Part;
  /** Its addresses, where they are known: Go's plugins mark some rules with the container alone, whichever the network. */
  addresses: readonly ContainerAddress[];
  /** `masquerade`: how its comment begins, where that is known and the owner is not. */
  hash?: string;
  /** `forward`: its bridge. What isolates that goes with the last who is on it. */
  bridge?: { name: string; isEmpty(): boolean };
}

/** An address as it stands in a packet. */
export const bytesOf = ({ address }: Pick<ContainerAddress, "address">): Uint8Array =>
  parseIP(address)!.bytes;

const sha512 = (text: string) => new Bun.CryptoHasher("sha512").update(text).digest("hex");

/** iptables takes names of up to 28 bytes. */
const CHAIN_NAME = 28;

/** An attachment's chain in iptables: of masquerading (""), of published ports, or of those before v0.8 (`SN-`). */
export function chainOf(kind: "" | "DN-" | "SN-", owner: RuleOwner): string {
  return `CNI-${kind}${sha512(owner.network + owner.containerId)}`.slice(0, CHAIN_NAME);
}

/** The comment on the rules of such a chain, and on those that lead to it. */
export const chainComment = ({ network, containerId }: RuleOwner) =>
  `name: ${JSON.stringify(network)} id: ${JSON.stringify(containerId)}`;

/** nftables keeps at most 128 bytes of comment. */
const NFT_COMMENT = 128;
const unquoted = (text: string) => text.replaceAll('"', "");

/** How the comments of a network's masquerading rules in nftables begin. */
export const networkHash = (network: string) => sha512(network).slice(0, 16);
/** How the comment of one attachment's does. */
export const attachmentHash = ({ network, containerId, ifName }: RuleOwner) =>
  `${networkHash(network)}-${sha512(`${ifName}:${containerId}`).slice(0, 16)}`;

export function masqueradeComment(owner: RuleOwner): string {
  const [network, ifName, id] = [owner.network, owner.ifName, owner.containerId].map(unquoted);
  return `${attachmentHash(owner)}, net: ${network}, if: ${ifName}, id: ${id}`.slice(0, NFT_COMMENT);
}

/** The comment of published ports in nftables: the container, and nothing else. */
export const portComment = ({ containerId }: RuleOwner) => containerId.slice(0, NFT_COMMENT);
