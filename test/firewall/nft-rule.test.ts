/** Rules as the kernel keeps them, beside what nft(8) was told. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  hasChain,
  leadsTo,
  nftRules,
  nftTables,
  openNetfilter,
  speaksOf,
  speaksOfInterface,
} from "../../src/netlink/nft-rule.ts";
import { TestNetns } from "../support/netns.ts";

let host: TestNetns;
beforeAll(() => {
  host = new TestNetns("rules");
  host.sh(
    "nft",
    `table inet one {
      chain a {
        ip saddr 10.0.0.1 accept comment "first"
        ip6 daddr fd00::1 drop
      }
      chain b {
        iifname "br0" jump a comment "a jump"
        iifname "br01" accept
      }
      chain n {
        type nat hook prerouting priority 0;
        tcp dport 80 dnat ip to 10.0.0.7:8080 comment "sends"
      }
    }
    table ip two {
      chain c { }
    }`,
  );
});
afterAll(() => host[Symbol.dispose]());

const rules = (family: "inet" | "ip" | "ip6", table: string, chain?: string, texts?: string[]) =>
  host.run(() => {
    using nl = openNetfilter();
    return nftRules(nl, { family, table, chain }, texts);
  });

test("tables and chains: those that are there", () => {
  host.run(() => {
    using nl = openNetfilter();
    expect([...nftTables(nl)].sort()).toEqual(["inet one", "ip two"]);
    expect(hasChain(nl, { family: "inet", table: "one", chain: "b" })).toBe(true);
    expect(hasChain(nl, { family: "inet", table: "one", chain: "c" })).toBe(false);
    expect(hasChain(nl, { family: "ip6", table: "none", chain: "c" })).toBe(false);
  });
});

test("rules: comments and handles as nft has them, of a table, of a chain, with a text", () => {
  const listed = JSON.parse(host.sh("nft", "-j", "list", "table", "inet", "one")) as {
    nftables: { rule?: { chain: string; handle: number; comment?: string } }[];
  };
  const wanted = listed.nftables.flatMap(({ rule }) =>
    rule ? [[rule.chain, rule.handle, rule.comment ?? ""]] : [],
  );
  expect(rules("inet", "one").map(one => [one.chain, one.handle, one.comment])).toEqual(wanted);
  expect(rules("inet", "one", "b").map(one => one.comment)).toEqual(["a jump", ""]);
  expect(rules("inet", "one", undefined, ["a jump", "sends"]).map(one => one.comment)).toEqual([
    "a jump",
    "sends",
  ]);
  expect([rules("ip", "two"), rules("ip6", "none"), rules("inet", "one", "none")]).toEqual([[], [], []]);
});

test("what a rule speaks of: addresses of either family, whole names of interfaces, chains it jumps to", () => {
  const all = rules("inet", "one");
  const which = (speaks: (rule: (typeof all)[number]) => boolean) =>
    all.flatMap((rule, index) => (speaks(rule) ? [index] : []));
  expect(which(rule => speaksOf(rule, Uint8Array.of(10, 0, 0, 1)))).toEqual([0]);
  expect(which(rule => speaksOf(rule, Uint8Array.of(10, 0, 0, 7)))).toEqual([4]);
  expect(which(rule => speaksOf(rule, Uint8Array.of(10, 0, 0, 2)))).toEqual([]);
  const six = new Uint8Array(16);
  six.set([0xfd, 0]);
  six[15] = 1;
  expect(which(rule => speaksOf(rule, six))).toEqual([1]);
  expect(which(rule => speaksOfInterface(rule, "br0"))).toEqual([2]);
  expect(which(rule => leadsTo(rule, "a"))).toEqual([2]);
});
