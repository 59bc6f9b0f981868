import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { contains, formatIP, parseCidr } from "../wire/addr.ts";
import type { HostNetwork } from "./host-network.ts";
import { planUserMode } from "./user-mode.ts";
import { parseUserMode } from "./user-mode-options.ts";

/** A host with eth0 and whatever else has these addresses and routes. */
function hostWith(addresses: string[], routes: string[] = []): HostNetwork {
  const parsed = addresses.map(text => {
    const [ip, prefix] = text.split("/") as [string, string];
    return { ip, prefix: Number(prefix), scope: "global" };
  });
  return {
    interfaces: [
      { name: "lo", mac: "00:00:00:00:00:00", addresses: [{ ip: "127.0.0.1", prefix: 8, scope: "host" }] },
      { name: "eth0", mac: "52:54:00:12:34:56", addresses: parsed },
    ],
    routes: routes.map(dst => ({ dst, gateway: "", interface: "eth0", metric: 0 })),
  };
}

const plain = hostWith(["192.0.2.1/24", "2001:db8::1/64"], ["0.0.0.0/0", "::/0", "192.0.2.0/24"]);
const plan = (word: string, host = plain, avoid?: string[]) =>
  planUserMode(parseUserMode(word)!, host, avoid);

describe("slirp4netns", () => {
  test("is the network that everybody knows", () => {
    expect(plan("slirp4netns")).toEqual({
      mode: "slirp4netns",
      settings: {
        ipv4: { subnet: "10.0.2.0/24", gateway: "10.0.2.2", dns: "10.0.2.3", guest: "10.0.2.100" },
        ipv6: { prefix: "fd00::/64", gateway: "fd00::2", dns: "fd00::3" },
        mtu: 65520,
        hostLoopback: false,
        dns: true,
        outbound: {},
      },
      ifName: "tap0",
      mtu: 65520,
      addresses: ["10.0.2.100/24", "fd00::100/64"],
      routes: [
        { dst: "0.0.0.0/0", gateway: "10.0.2.2" },
        { dst: "::/0", gateway: "fd00::2" },
      ],
      guest: { ipv4: "10.0.2.100", ipv6: "fd00::100" },
      nameservers: ["10.0.2.3"],
      search: [],
      hostAddress: "192.0.2.1",
    });
  });

  test("options change what they name", () => {
    const found = plan(
      "slirp4netns:cidr=10.9.0.0/16,enable_ipv6=false,mtu=400,allow_host_loopback=true,outbound_addr=eth0,outbound_addr6=2001:db8::7",
    );
    expect(found).toMatchObject({ mtu: 400, addresses: ["10.9.0.100/16"], nameservers: ["10.9.0.3"] });
    expect(found.guest.ipv6).toBe("");
    expect(found.settings).toEqual({
      ipv4: { subnet: "10.9.0.0/16", gateway: "10.9.0.2", dns: "10.9.0.3", guest: "10.9.0.100" },
      mtu: 576,
      hostLoopback: true,
      dns: true,
      outbound: { ipv4: "192.0.2.1", ipv6: "2001:db8::7" },
    });
  });

  test("an interface that is not there is no way out", () => {
    expect(() => plan("slirp4netns:outbound_addr=wlan7")).toThrow('invalid outbound_addr "wlan7"');
    expect(() => plan("slirp4netns:outbound_addr6=wlan7")).toThrow('invalid outbound_addr6: "wlan7"');
  });

  test.each<[string, HostNetwork, string]>([
    ["an address of the host", hostWith(["10.0.2.15/24"]), "10.0.3.0/24"],
    ["a route of the host", hostWith([], ["10.0.2.0/23"]), "10.0.4.0/24"],
    ["a VPN that has all of 10/8", hostWith([], ["10.0.0.0/8"]), "172.16.0.0/24"],
    [
      "several in a row",
      hostWith(["10.0.2.2/24", "10.0.3.1/28"], ["10.0.4.128/25", "10.0.6.0/24"]),
      "10.0.5.0/24",
    ],
    ["a default route in two halves", hostWith([], ["0.0.0.0/1", "128.0.0.0/1"]), "10.0.2.0/24"],
    [
      "everything",
      hostWith([], ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"]),
      "10.0.2.0/24",
    ],
  ])("with %s in the way the network is elsewhere", (_, host, subnet) => {
    expect(plan("slirp4netns", host).settings.ipv4.subnet).toBe(subnet);
  });

  test("a network that was asked for stays where it is", () => {
    const host = hostWith(["10.0.2.15/24"]);
    expect(plan("slirp4netns:cidr=10.0.2.0/24", host).settings.ipv4.subnet).toBe("10.0.2.0/24");
  });

  test("networks of containers are avoided as the host's are", () => {
    expect(plan("slirp4netns", plain, ["10.0.2.0/24", "10.0.3.0/24"]).addresses[0]).toBe("10.0.4.100/24");
  });

  test("with fd00:: in use IPv6 has a prefix of the host's own, the same every time", () => {
    const host = hostWith(["fd00::2/64"]);
    const { settings, guest } = plan("slirp4netns", host);
    expect(settings.ipv6!.prefix).toMatch(/^fd[0-9a-f]{2}:[0-9a-f:]+::\/64$/);
    expect(settings.ipv6!.prefix).not.toBe("fd00::/64");
    expect(guest.ipv6).toMatch(/::100$/);
    expect(plan("slirp4netns", host).settings).toEqual(settings);
  });

  test("no network of the host's is ever hidden while there is another", () => {
    const network = fc
      .tuple(
        fc.integer({ min: 0, max: 255 }),
        fc.integer({ min: 0, max: 255 }),
        fc.integer({ min: 9, max: 32 }),
      )
      .map(([b, c, prefix]) => `10.${b}.${c}.0/${prefix}`);
    fc.assert(
      fc.property(fc.array(network, { maxLength: 30 }), routes => {
        const subnet = parseCidr(plan("slirp4netns", hostWith([], routes)).settings.ipv4.subnet)!;
        for (const one of routes.map(text => parseCidr(text)!)) {
          expect([formatIP(one.ip), contains(subnet, one.ip)]).toEqual([formatIP(one.ip), false]);
          expect([formatIP(one.ip), contains(one, subnet.ip)]).toEqual([formatIP(one.ip), false]);
        }
      }),
    );
  });
});
