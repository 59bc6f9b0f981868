/** The door to the kernel's ruleset: one transaction a call, in the namespace of the calling thread. */
import { readlinkSync } from "node:fs";
import { hasCode, UserError } from "../base/errors.ts";
import { changeNftRules, type NewNftRule } from "../netlink/nft-new-rule.ts";
import { hasTable, type NftPlace, openNetfilter } from "../netlink/nft-rule.ts";
import { type NftElement, nftElement } from "../netlink/nft-set.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { withLock } from "../sys/flock.ts";
import { withoutWait } from "../sys/netfilter-sockets.ts";
import { NftContext } from "../sys/nftables.ts";
import { type Element, keyBytes, parseElements } from "./element.ts";
import { isPortMap, LAYOUT, type SetName, TABLE } from "./layout.ts";

/**
 * Who changes the firewall waits for his turn here. One file to a network namespace: on the host, roots and run roots share
 * the kernel's ruleset.
 */
let turns = "/run/portolan/locks/firewall";

/** For a process that works in another namespace than the host's, and only there: where turns are taken for that one. */
export function takeTurnsAt(path: string): void {
  turns = path;
}

/** The kernel's or the parser's reason, without positions in a text that nobody sees. */
function reason(error: string): string {
  const line = error.split("\n").find(one => one.includes("Error: ")) ?? error;
  return line.replace(/^.*?Error: ((Could not process rule|cache initialization failed): )?/, "").trim();
}

const MISSING = "No such file or directory";
const TAKEN = "File exists";

/** Why a transaction failed: `missing` (the table or an element), `taken` (an element with other data) or the words. */
export class FirewallError extends UserError {
  readonly kind: "missing" | "taken" | "other";
  constructor(readonly reason: string) {
    super(`can't change the firewall: ${reason}`, {
      hint: reason.startsWith("Operation not permitted") ? "this needs root" : undefined,
    });
    this.kind = reason.startsWith(MISSING) ? "missing" : reason.startsWith(TAKEN) ? "taken" : "other";
  }
}

/** Each is opened when it is first asked for. */
interface Kept {
  namespace: string;
  nft?: NftContext;
  netlink?: NetlinkSocket;
  /** Something of the ruleset was taken out, as far as is known. */
  hasRemoved?: boolean;
}

/** One context and one socket are kept for the namespace last worked in, to the end of the process. */
let kept: Kept | undefined;

function here(): Kept {
  const namespace = readlinkSync("/proc/thread-self/ns/net");
  if (kept?.namespace !== namespace) {
    if (kept) leave();
    else process.once("exit", leave);
    kept = { namespace };
  }
  return kept;
}

/** Closes what is kept. The kernel may be long about what was removed by it: nobody waits. */
function leave(): void {
  const close = () => {
    kept?.nft?.[Symbol.dispose]();
    kept?.netlink?.[Symbol.dispose]();
    kept = undefined;
  };
  if (kept?.hasRemoved) withoutWait(close);
  else close();
}

export class Firewall {
  #run(command: string): string {
    const place = here();
    place.nft ??= new NftContext();
    if (!command.startsWith("list ")) place.hasRemoved = true;
    const { ok, output, error } = place.nft.run(command);
    if (!ok) throw new FirewallError(reason(error));
    return output;
  }

  /** Makes our table, or renews its rules. */
  lay(): void {
    this.#run(LAYOUT);
  }

  /** Runs the commands as one transaction: all of them or none. */
  apply(commands: readonly unknown[]): void {
    if (commands.length > 0) this.#run(JSON.stringify({ nftables: commands }));
  }

  /** For the kernel's own lists; it stays open. */
  netlink(): NetlinkSocket {
    const place = here();
    place.netlink ??= openNetfilter();
    return place.netlink;
  }

  /** Takes rules out and puts others in, without libnftables; all of it or nothing. */
  changeRules(removed: readonly (NftPlace & { handle: number })[], added: readonly NewNftRule[]): void {
    const nl = this.netlink();
    if (removed.length > 0) here().hasRemoved = true;
    told(() => changeNftRules(nl, removed, added));
  }

  /** Runs a text in nft's language as one transaction. */
  write(text: string): void {
    if (text !== "") this.#run(text);
  }

  /** libnftables' answer to `list WHAT`; undefined where it does not exist. */
  list(what: string): string | undefined {
    try {
      return this.#run(`list ${what}`);
    } catch (error) {
      if (error instanceof FirewallError && error.kind === "missing") return undefined;
      throw error;
    }
  }

  /** What the sets of our table have for the keys of these elements, asked for one by one: sets have thousands. */
  found(elements: readonly Element[]): Element[] {
    if (elements.length === 0) return [];
    const nl = this.netlink();
    return elements.flatMap(({ set, key }) => {
      const [first, last] = keyBytes(key);
      const there = lookUp(nl, set, first);
      const isSame =
        there && Buffer.compare(there.key, first) === 0 && Buffer.compare(there.keyEnd, last) === 0;
      return isSame ? [{ set, key, owner: there.comment }] : [];
    });
  }

  /** Every element of our table, or those of some of its sets; none where there is no table. */
  elements(sets?: readonly SetName[]): Element[] {
    const nl = this.netlink();
    if (!told(() => hasTable(nl, { family: TABLE.family, table: TABLE.name }))) return [];
    const place = `${TABLE.family} ${TABLE.name}`;
    const what = sets?.map(set => `${isPortMap(set) ? "map" : "set"} ${place} ${set}`);
    return (what ?? [`table ${place}`]).flatMap(one => {
      const reply = this.list(one);
      return reply === undefined ? [] : parseElements(reply);
    });
  }
}

const lookUp = (nl: NetlinkSocket, set: SetName, key: Uint8Array): NftElement | undefined =>
  told(() => nftElement(nl, TABLE.name, set, key));

const REASONS: Record<string, string> = { EPERM: "Operation not permitted", ENOENT: MISSING, EEXIST: TAKEN };

/** What the kernel refuses of our own requests, in the words that libnftables has for it. */
function told<T>(ask: () => T): T {
  try {
    return ask();
  } catch (error) {
    const code = Object.keys(REASONS).find(one => hasCode(error, one));
    throw code ? new FirewallError(REASONS[code]!) : error;
  }
}

/** Runs `fn` while no other process changes our table. */
export function exclusively<T>(fn: (firewall: Firewall) => T): T {
  return withLock(turns, () => fn(new Firewall()));
}

/** The elements of our table as they are now, read without waiting for anybody. */
export function listElements(sets?: readonly SetName[]): Element[] {
  return new Firewall().elements(sets);
}

/** Makes the table afresh where something outside emptied its chains. Elements stay. */
export function layTable(): void {
  exclusively(firewall => firewall.lay());
}
