/** The table `inet portolan`: its rules, made once, and transactions over its elements. Theory: this room's README. */
import { UserError } from "../base/errors.ts";
import { NftContext } from "../sys/nftables.ts";

const TABLE = "inet portolan";

const perFamily = (family: 4 | 6) => {
  const [address, ip, nfproto, local, multicast] =
    family === 4
      ? ["ipv4_addr", "ip", "ipv4", "127.0.0.0/8", "224.0.0.0/4"]
      : ["ipv6_addr", "ip6", "ipv6", "::1", "ff00::/8"];
  const key = "meta l4proto . th dport";
  const hostKey = `meta l4proto . ${ip} daddr . th dport`;
  return {
    declarations: `
  map port${family} { type inet_proto . inet_service : ${address} . inet_service; }
  map hostport${family} { type inet_proto . ${address} . inet_service : ${address} . inet_service; }
  map range${family} { type inet_proto . inet_service : ${address}; flags interval; }
  map hostrange${family} { type inet_proto . ${address} . inet_service : ${address}; flags interval; }
  set masquerade${family} { type ${address}; }
  set local${family} { type ${address} . ${address}; flags interval; }
  set hairpin${family} { type ${address} . ${address}; flags interval; }`,
    published: `
    meta nfproto ${nfproto} dnat ${ip} addr . port to ${hostKey} map @hostport${family}
    meta nfproto ${nfproto} dnat ${ip} addr . port to ${key} map @port${family}
    meta nfproto ${nfproto} dnat ${ip} to ${hostKey} map @hostrange${family}
    meta nfproto ${nfproto} dnat ${ip} to ${key} map @range${family}`,
    leaving: `
    ${ip} saddr ${local} ct status dnat oifname != "lo" masquerade
    ct status dnat ${ip} saddr . ${ip} daddr @hairpin${family} masquerade
    ${ip} saddr @masquerade${family} ${ip} daddr != ${multicast} ${ip} saddr . ${ip} daddr != @local${family} masquerade`,
  };
};

const FOUR = perFamily(4);
const SIX = perFamily(6);

/** `create table` fails where the table exists: of two processes that come first at once, one makes it. */
const SKELETON = `create table ${TABLE}
table ${TABLE} {${FOUR.declarations}${SIX.declarations}
  chain published {${FOUR.published}${SIX.published}
  }
  chain prerouting { type nat hook prerouting priority dstnat; policy accept;
    meta l4proto { tcp, udp, sctp } fib daddr type local jump published
  }
  chain output { type nat hook output priority -100; policy accept;
    meta l4proto { tcp, udp, sctp } fib daddr type local jump published
  }
  chain postrouting { type nat hook postrouting priority srcnat; policy accept;${FOUR.leaving}${SIX.leaving}
  }
}
`;

/** One element: of which map or set, its key and (for a map) its value, in nft's own syntax. */
export interface Element {
  set: string;
  key: string;
  value?: string;
}

function firstLine(error: string): string {
  return error.split("\n")[0]!.replace(/^.*?Error: /, "");
}

function runOrThrow(context: NftContext, what: string, command: string): void {
  const reply = context.run(command);
  if (!reply.ok) throw new UserError(`can't ${what}: nftables: ${firstLine(reply.error)}`);
}

const owned = (owner: string) => {
  if (!/^[A-Za-z0-9_.-]{1,128}$/.test(owner))
    throw new UserError(`${JSON.stringify(owner)} can't own firewall rules`);
  return `comment "${owner}"`;
};

/** Adds elements for `owner` in one transaction, making the table when it is missing. */
export function addElements(owner: string, elements: readonly Element[]): void {
  if (elements.length === 0) return;
  const text = elements
    .map(
      one =>
        `add element ${TABLE} ${one.set} { ${one.key} ${owned(owner)}${one.value === undefined ? "" : ` : ${one.value}`} }\n`,
    )
    .join("");
  using context = new NftContext();
  if (context.run(text).ok) return;
  const made = context.run(SKELETON);
  if (!made.ok && !/exists/i.test(made.error))
    throw new UserError(`can't prepare the firewall: nftables: ${firstLine(made.error)}`);
  runOrThrow(context, "publish ports and set up NAT", text);
}

interface ListedSet {
  name: string;
  elem?: unknown[];
}

/** Keys as nft writes them in JSON, back to its own syntax. */
function keyText(key: unknown): string {
  if (typeof key === "string" || typeof key === "number") return String(key);
  const node = key as { concat?: unknown[]; range?: unknown[]; prefix?: { addr: string; len: number } };
  if (node.concat) return node.concat.map(keyText).join(" . ");
  if (node.range) return node.range.map(keyText).join("-");
  if (node.prefix) return `${node.prefix.addr}/${node.prefix.len}`;
  throw new UserError(`nftables answered with an element of an unknown form: ${JSON.stringify(key)}`);
}

/** Every element in the table with the owner that its comment names. Empty when there is no table. */
export function listElements(): { owner: string; set: string; key: string }[] {
  using context = new NftContext();
  const reply = context.run(`list table ${TABLE}`);
  if (!reply.ok) return [];
  const { nftables } = JSON.parse(reply.output) as { nftables: { map?: ListedSet; set?: ListedSet }[] };
  const found: { owner: string; set: string; key: string }[] = [];
  for (const item of nftables) {
    const set = item.map ?? item.set;
    for (const row of set?.elem ?? []) {
      const key = item.map ? (row as unknown[])[0] : row;
      const annotated = (key as { elem?: { val: unknown; comment?: string } }).elem;
      found.push({ owner: annotated?.comment ?? "", set: set!.name, key: keyText(annotated?.val ?? key) });
    }
  }
  return found;
}

/** Removes all that `owner` has, in one transaction; quiet when there is nothing. */
export function removeElements(owner: string): void {
  const mine = listElements().filter(one => one.owner === owner);
  if (mine.length === 0) return;
  using context = new NftContext();
  runOrThrow(
    context,
    "remove firewall rules",
    mine.map(one => `delete element ${TABLE} ${one.set} { ${one.key} }\n`).join(""),
  );
}
