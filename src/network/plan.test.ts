import { expect, describe as group, test } from "bun:test";
import fc from "fast-check";
import { parseConfList } from "../cni/conflist.ts";
import { contains, parseCidr, parseIP } from "../wire/addr.ts";
import { describe, formatConfList, type NetworkInfo } from "./definition.ts";
import type { HostNetwork } from "./host-network.ts";
import { type NetworkRequest, type Occupied, planNetwork } from "./plan.ts";
import { overlap } from "./subnets.ts";

const host: HostNetwork = {
  interfaces: [
    { name: "eth0", mac: "", addresses: [{ ip: "192.168.7.2", prefix: 24, scope: "global" }] },
    { name: "cni-podman1", mac: "", addresses: [] },
  ],
  routes: [
    { dst: "0.0.0.0/0", gateway: "192.168.7.1", interface: "eth0", metric: 0 },
    { dst: "10.89.0.0/22", gateway: "192.168.7.1", interface: "eth0", metric: 0 },
  ],
};
const request = (more: Partial<NetworkRequest> = {}): NetworkRequest => ({
  driver: "bridge",
  subnets: [],
  ipv6: false,
  internal: false,
  dns: true,
  labels: {},
  options: {},
  ...more,
});
const plan = (more: Partial<NetworkRequest> = {}, networks: NetworkInfo[] = []) =>
  planNetwork(request(more), { host, networks });

group("what is free", () => {
  test("names of interfaces, addresses and routes of the host are kept clear of", () => {
    const made = plan();
    expect([made.name, made.network_interface]).toEqual(["cni-podman2", "cni-podman2"]);
    expect(made.subnets).toEqual([{ subnet: "10.89.4.0/24", gateway: "10.89.4.1" }]);
  });

  test("a subnet that is asked for may lie behind a route, not on the host's own wire", () => {
    const subnet = (text: string) => () => plan({ subnets: [{ subnet: text }] });
    expect(subnet("10.89.0.0/24")().subnets?.[0]?.gateway).toBe("10.89.0.1");
    expect(subnet("192.168.0.0/16")).toThrow("subnet 192.168.0.0/16 is already used on the host");
  });

  test("networks made one after the other never overlap", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ ipv6: fc.boolean(), internal: fc.boolean() }), { maxLength: 12 }),
        list => {
          const networks: NetworkInfo[] = [];
          for (const one of list) networks.push(plan(one, networks));
          const all = networks.flatMap(one => one.subnets!.map(({ subnet }) => parseCidr(subnet)!));
          for (const [index, one] of all.entries())
            for (const other of all.slice(index + 1)) expect(overlap(one, other)).toBe(false);
          expect(new Set(networks.map(one => one.network_interface)).size).toBe(networks.length);
        },
      ),
      { numRuns: 30 },
    );
  });
});

/** A subnet with gateway and range in it, by prefix length and offsets. */
const subnets = fc
  .record({
    base: fc.integer({ min: 0, max: 250 }),
    prefix: fc.integer({ min: 20, max: 28 }),
    last: fc.integer({ min: 1, max: 14 }),
  })
  .map(({ base, prefix, last }) => ({
    subnet: `10.${base}.0.0/${prefix}`,
    gateway: `10.${base}.0.${last}`,
    range: `10.${base}.0.0/28`,
  }));

test("a file says what was planned, and is read as that", () => {
  const words = fc.dictionary(fc.string({ minLength: 1, maxLength: 5 }), fc.string({ maxLength: 5 }), {
    maxKeys: 3,
  });
  const occupied: Occupied = { host: { interfaces: [], routes: [] }, networks: [] };
  fc.assert(
    fc.property(
      subnets,
      words,
      fc.boolean(),
      fc.boolean(),
      fc.integer({ min: 0, max: 9000 }),
      (subnet, labels, internal, dns, mtu) => {
        const options: Record<string, string> = mtu ? { mtu: String(mtu) } : {};
        const asked = request({ name: "n", subnets: [subnet], labels, internal, dns, options });
        const planned = planNetwork(asked, occupied);
        const text = formatConfList(planned);
        const read = describe(parseConfList(text), "");
        expect(JSON.parse(JSON.stringify(read))).toEqual(
          JSON.parse(
            JSON.stringify({
              ...planned,
              labels: Object.keys(labels).length ? labels : undefined,
              options: mtu ? options : undefined,
            }),
          ),
        );
        // And once read, it is written as it was.
        expect(formatConfList(read)).toBe(text);
        const cidr = parseCidr(planned.subnets![0]!.subnet)!;
        expect(contains(cidr, parseIP(subnet.gateway)!)).toBe(true);
      },
    ),
  );
});
