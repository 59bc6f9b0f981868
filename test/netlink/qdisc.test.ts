/** Queueing disciplines and filters that we make are shown by tc(8), and what tc makes is read as tc shows it. */
import { expect, test } from "bun:test";
import { addRedirect, redirects } from "../../src/netlink/filter.ts";
import { linkByName } from "../../src/netlink/link.ts";
import { addLink } from "../../src/netlink/new-link.ts";
import {
  addIngress,
  addTokenBucket,
  INGRESS,
  qdiscs,
  rootQdisc,
  tokenBucket,
} from "../../src/netlink/qdisc.ts";
import { NetlinkSocket } from "../../src/netlink/socket.ts";
import { TestNetns } from "../support/netns.ts";

interface TcQdisc {
  kind: string;
  handle: string;
  dev: string;
  options: { rate?: number; burst?: number; lat?: number };
}
interface TcFilter {
  kind: string;
  protocol: string;
  pref: number;
  options?: { actions?: { kind: string; mirred_action: string; direction: string; to_dev: string }[] };
}

test("a bucket on a link, everything that arrives by it sent to another", () => {
  using ns = new TestNetns();
  ns.sh("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1");
  const shown = () => ns.json<TcQdisc[]>("tc", "-s", "-j", "qdisc", "show", "dev", "v0");
  ns.run(() => {
    using nl = new NetlinkSocket();
    addLink(nl, { kind: "ifb", name: "ifb7", up: true });
    const [link, ifb] = [linkByName(nl, "v0")!, linkByName(nl, "ifb7")!];
    addTokenBucket(nl, link.index, tokenBucket(1_000_000, 100_000, 25_000));
    expect(() => addTokenBucket(nl, link.index, tokenBucket(1_000_000, 100_000, 25_000))).toThrow(
      "Exclusivity flag on, cannot modify",
    );
    addIngress(nl, link.index);
    expect(redirects(nl, link.index)).toEqual([]);
    addRedirect(nl, link.index, ifb.index);
    expect(shown()).toMatchObject([
      { kind: "tbf", handle: "1:", options: { rate: 1_000_000, burst: 100_000, lat: 25_000 } },
      { kind: "ingress", handle: "ffff:" },
    ]);
    const filters = ns.json<TcFilter[]>("tc", "-j", "filter", "show", "dev", "v0", "ingress");
    expect(filters.at(-1)).toMatchObject({
      kind: "u32",
      protocol: "all",
      pref: 1,
      options: {
        actions: [{ kind: "mirred", mirred_action: "redirect", direction: "egress", to_dev: "ifb7" }],
      },
    });
    expect(redirects(nl, link.index)).toEqual([ifb.index]);
    expect(rootQdisc(nl, ifb.index)?.kind).not.toBe("tbf");
  });
});

test("what tc makes is read as tc shows it, rates beyond 32 bits too", () => {
  using ns = new TestNetns();
  ns.sh("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1");
  for (const [rate, bytes] of [
    ["800kbit", 100_000],
    ["80gbit", 10_000_000_000],
  ] as const) {
    ns.sh(
      "tc",
      "qdisc",
      "replace",
      "dev",
      "v0",
      "root",
      "handle",
      "1:",
      "tbf",
      "rate",
      rate,
      "burst",
      "2mb",
      "limit",
      "3mb",
    );
    ns.run(() => {
      using nl = new NetlinkSocket();
      const { index } = linkByName(nl, "v0")!;
      const qdisc = rootQdisc(nl, index)!;
      expect([qdisc.kind, qdisc.bucket!.rate, qdisc.bucket!.limit]).toEqual(["tbf", bytes, 3 * 2 ** 20]);
      expect(qdiscs(nl).filter(one => one.kind === "tbf")).toEqual([qdisc]);
    });
  }
  ns.sh("tc", "qdisc", "add", "dev", "v0", "handle", "ffff:", "ingress");
  ns.run(() => {
    using nl = new NetlinkSocket();
    const { index } = linkByName(nl, "v0")!;
    expect(qdiscs(nl, index).map(one => [one.kind, one.handle])).toContainEqual(["ingress", INGRESS]);
  });
});
