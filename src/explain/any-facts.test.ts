import { expect, test } from "bun:test";
import fc from "fast-check";
import { ask, concat, element, rootful, TAP, view } from "../../test/support/facts.ts";
import type { NamespaceView } from "../network/namespace-view.ts";
import { describe, describeHost } from "./describe.ts";
import { type Facts, Unseen } from "./facts.ts";

test("whatever the facts, there is a verdict", () => {
  const ips = fc.constantFrom(
    "10.88.0.1",
    "10.88.0.2",
    "10.89.0.2",
    "10.0.2.100",
    "192.168.1.2",
    "fd00::1",
    "127.0.0.1",
  );
  const subnets = fc.constantFrom(
    "0.0.0.0/0",
    "::/0",
    "10.88.0.0/16",
    "10.89.0.0/24",
    "10.88.0.2/32",
    "fd00::/64",
  );
  const index = fc.integer({ min: 0, max: 4 });
  const links = fc.array(
    fc.record({
      index,
      name: fc.constantFrom("lo", "eth0", "tap0", "cni0", "veth1"),
      kind: fc.constantFrom("", "bridge", "veth", "tun", "macvlan"),
      up: fc.boolean(),
      loopback: fc.boolean(),
      master: index,
      peerIndex: index,
    }),
    { maxLength: 4 },
  );
  const sockets = fc.array(
    fc.record({
      protocol: fc.constantFrom("tcp" as const, "udp" as const),
      ip: fc.oneof(ips, fc.constantFrom("0.0.0.0", "::")),
      port: fc.constantFrom(80, 8080),
      inode: fc.constantFrom(0, 1),
    }),
    { maxLength: 3 },
  );
  const both = fc.record({ 4: fc.boolean(), 6: fc.boolean() });
  const elements = fc.array(
    fc.constantFrom(
      element("port4", concat(6, 8080), concat("10.88.0.2", 80)),
      element("port4", concat(6, 80), concat("10.88.0.1", 80)),
      element("masquerade4", "10.88.0.2"),
      element("isolated", "cni0"),
      element("strict4", concat("cni0", "10.88.0.2")),
      element("range4", { concat: [6, { range: [80, 90] }] }, "10.89.0.2"),
    ),
  );
  const anyView: fc.Arbitrary<NamespaceView | null> = fc.option(
    fc.record(
      {
        links,
        addresses: fc.array(
          fc.record({
            index,
            ip: ips,
            prefix: fc.constant(24),
            scope: fc.constantFrom("global", "link", "host"),
          }),
          { maxLength: 3 },
        ),
        routes: fc.array(
          fc.record({
            ...{ dst: subnets, gateway: fc.oneof(ips, fc.constant("")), index, metric: fc.nat(2) },
            ...{ source: fc.oneof(ips, fc.constant("")), type: fc.constantFrom(1, 1, 7) },
          }),
          { maxLength: 4 },
        ),
        forwarding: both,
        listening: sockets,
        firewall: fc.record({ elements, closed: both }),
      },
      { requiredKeys: ["links", "addresses", "routes", "forwarding", "listening"] },
    ),
  );
  const base = rootful();
  const places = ["host", "home", ...base.containers.map(one => one.id)];
  const anyFacts = fc
    .record({
      views: fc.array(anyView, { minLength: places.length, maxLength: places.length }),
      rootless: fc.boolean(),
    })
    .map(
      ({ views, rootless }): Facts => ({
        ...base,
        rootless,
        home: TAP,
        // The host is there always.
        views: new Map(places.map((place, at) => [place, at === 0 ? (views[0] ?? view([])) : views[at]!])),
        owners: new Map([[1, null]]),
      }),
    );
  const ends = fc.constantFrom(
    "host",
    "internet",
    "db",
    "web",
    "tap",
    "own",
    "side",
    "alone",
    "10.88.0.2",
    "fd00::1",
  );
  fc.assert(
    fc.property(anyFacts, ends, ends, fc.constantFrom(undefined, 80, 8080), (facts, from, to, port) => {
      const found = ask(facts, from, to, port);
      expect(found.verdict.text).not.toBe("");
      expect(found.verdict.text).not.toContain("undefined");
      expect(found.hops.length).toBeLessThan(100);
      for (const one of [describe(facts, "db"), describe(facts, "tap"), describeHost(facts)])
        expect(one).not.toBeInstanceOf(Unseen);
    }),
    { numRuns: 300 },
  );
});
