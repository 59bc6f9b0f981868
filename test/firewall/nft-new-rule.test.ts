/** Rules that we write to the kernel ourselves, beside those that libnftables makes of the same words. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  type GoRule,
  HOSTPORT,
  hostportLayout,
  MASQUERADE_LAYOUT,
  masqueradeRules,
  portRules,
} from "../../src/firewall/go-nftables.ts";
import type { ContainerAddress, PublishedPort } from "../../src/firewall/ports.ts";
import { exclusively, FirewallError } from "../../src/firewall/transaction.ts";
import { type NftRule, nftRules } from "../../src/netlink/nft-rule.ts";
import { formatIP, networkOf, parseCidr } from "../../src/wire/addr.ts";
import { TestNetns } from "../support/netns.ts";

function address(cidr: string): ContainerAddress {
  const parsed = parseCidr(cidr)!;
  return {
    version: parsed.ip.family,
    address: formatIP(parsed.ip),
    network: { address: formatIP(networkOf(parsed)), length: parsed.prefix },
  };
}

const cidr = fc.oneof(
  fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })).map(([ip, length]) => `${ip}/${length}`),
  fc
    .tuple(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.integer({ min: 0, max: 128 }))
    .map(([bytes, length]) => `${formatIP({ family: 6, bytes })}/${length}`),
);
const port = fc.record<PublishedPort>({
  protocol: fc.constantFrom("tcp", "udp", "sctp"),
  hostPort: fc.integer({ min: 1, max: 65_000 }),
  containerPort: fc.integer({ min: 1, max: 65_000 }),
  count: fc.constantFrom(1, 1, 1, 3),
  host: fc.constantFrom(
    undefined,
    { version: 4 as const, address: "192.0.2.7" },
    { version: 6 as const, address: "2001:db8::7" },
    { version: 4 as const },
  ),
});
const owner = fc.record({
  network: fc.constant("net"),
  ifName: fc.constant("eth0"),
  containerId: fc.stringMatching(/^[a-z0-9]{1,140}$/),
});
const options = fc.record({
  snat: fc.boolean(),
  masqueradeAll: fc.boolean(),
  conditions: fc.constantFrom({ 4: [], 6: [] }, { 4: ["ip saddr 10.0.0.0/8"], 6: [] }),
});

test("the kernel has the same of both, byte for byte, and gives it back when it is taken out", () => {
  using host = new TestNetns("new-rule");
  let plain = 0;
  host.run(() =>
    exclusively(firewall => {
      const nl = firewall.netlink();
      firewall.write(MASQUERADE_LAYOUT + hostportLayout(4) + hostportLayout(6));
      const all = (one: GoRule) => nftRules(nl, { ...one.plain!, chain: one.plain!.chain });
      const content = ({ chain, comment, expressions }: NftRule) => ({ chain, comment, expressions });
      fc.assert(
        fc.property(owner, cidr.map(address), port, options, (whose, target, published, how) => {
          const rules = [...masqueradeRules(whose, [target]), ...portRules(whose, target, [published], how)];
          for (const rule of rules.filter(one => one.plain)) {
            firewall.write(rule.text);
            firewall.changeRules([], [rule.plain!]);
            const [theirs, ours, ...more] = rule.plain!.at === "start" ? all(rule).reverse() : all(rule);
            expect(more).toEqual([]);
            expect([rule.text, content(ours!)]).toEqual([rule.text, content(theirs!)]);
            firewall.changeRules([theirs!, ours!], []);
            expect(all(rule)).toEqual([]);
            plain++;
          }
        }),
        { numRuns: 60 },
      );
    }),
  );
  expect(plain).toBeGreaterThan(60);
});

test("one that can't be done, and none is", () => {
  using host = new TestNetns("new-rule");
  const target = address("10.0.0.5/24");
  const how = { snat: false, masqueradeAll: false, conditions: { 4: [], 6: [] } };
  const published = { protocol: "tcp", hostPort: 80, containerPort: 80, count: 1 } as const;
  const [rule] = portRules({ network: "n", ifName: "eth0", containerId: "c" }, target, [published], how);
  const there = () => host.sh("nft", "list", "chain", "ip", HOSTPORT, "hostports");
  host.run(() =>
    exclusively(firewall => {
      expect(() => firewall.changeRules([], [rule!.plain!])).toThrow(FirewallError);
      firewall.write(hostportLayout(4));
      const missing = { family: "ip", table: HOSTPORT, chain: "hostports", handle: 4711 } as const;
      const attempt = () => firewall.changeRules([missing], [rule!.plain!]);
      expect(attempt).toThrow("No such file or directory");
      expect(there()).not.toContain("dport");
      // A later request is not answered by what was left of that one.
      firewall.changeRules([], [rule!.plain!]);
    }),
  );
  expect(there()).toContain('tcp dport 80 dnat to 10.0.0.5:80 comment "c"');
});
