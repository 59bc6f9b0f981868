import { describe, expect, test } from "bun:test";
import { address, dissect, GUEST_MAC, join, show, udp, World } from "../../test/support/guest.ts";
import { text } from "../../test/support/stack.ts";
import { formatIP, formatMac, parseMac } from "../wire/addr.ts";
import { DHCP_OPTION, DHCP_TYPE, emitDhcp, parseDhcp } from "../wire/dhcp.ts";
import { emitDhcpv6, parseDhcpv6 } from "../wire/dhcpv6.ts";
import { parseDomains } from "../wire/domain.ts";

const NONE = new Uint8Array(4);
const ip = (bytes: Uint8Array | undefined) => bytes && formatIP({ family: 4, bytes });

interface Request {
  mac?: string;
  client?: string;
  flags?: number;
  relay?: string;
  requested?: string;
  server?: string;
}

function request(type: number, fields: Request = {}): Uint8Array {
  const options = new Map<number, Uint8Array>([[DHCP_OPTION.MESSAGE_TYPE, Uint8Array.of(type)]]);
  if (fields.requested) options.set(DHCP_OPTION.REQUESTED_ADDRESS, address(fields.requested));
  if (fields.server) options.set(DHCP_OPTION.SERVER_IDENTIFIER, address(fields.server));
  const mac = fields.mac ?? GUEST_MAC;
  const message = emitDhcp({
    operation: 1,
    transaction: 0x01020304,
    seconds: 1,
    flags: fields.flags ?? 0,
    client: fields.client ? address(fields.client) : NONE,
    your: NONE,
    server: NONE,
    relay: fields.relay ? address(fields.relay) : NONE,
    mac: parseMac(mac)!,
    options,
  });
  const unicast = fields.client !== undefined;
  return udp(`${fields.client ?? "0.0.0.0"}:68`, unicast ? "10.0.2.2:67" : "255.255.255.255:67", message, {
    from: mac,
    to: unicast ? "52:55:0a:00:02:02" : "ff:ff:ff:ff:ff:ff",
  });
}

/** The one answer to a request, if there is any. */
function ask(world: World, type: number, fields: Request = {}) {
  world.guest(request(type, fields));
  const [frame, second] = world.takeFrames();
  expect(second).toBeUndefined();
  if (!frame) return undefined;
  const { to, from, destination, message } = dissect(frame);
  const answer = parseDhcp(message.subarray(8))!;
  return {
    to,
    from,
    destination,
    answer,
    type: answer.options.get(DHCP_OPTION.MESSAGE_TYPE)![0],
    your: ip(answer.your),
  };
}

/** The address that a machine ends up with. */
function lease(world: World, mac: string): string | undefined {
  const offer = ask(world, DHCP_TYPE.DISCOVER, { mac });
  if (!offer) return undefined;
  const ack = ask(world, DHCP_TYPE.REQUEST, { mac, requested: offer.your, server: "10.0.2.2" })!;
  expect(ack.type).toBe(DHCP_TYPE.ACK);
  return ack.your;
}

describe("DHCP", () => {
  test("discover, offer, request, acknowledgement: address, mask, router, resolver, MTU, search list, lease", () => {
    const world = new World({ searchDomains: ["example.test", "b.test"] });
    const offer = ask(world, DHCP_TYPE.DISCOVER)!;
    expect([offer.type, offer.your, offer.from, offer.destination, offer.to]).toEqual([
      DHCP_TYPE.OFFER,
      "10.0.2.100",
      "10.0.2.2",
      "10.0.2.100",
      GUEST_MAC,
    ]);
    const ack = ask(world, DHCP_TYPE.REQUEST, { requested: "10.0.2.100", server: "10.0.2.2" })!;
    const { options, transaction, mac } = ack.answer;
    expect([ack.type, transaction, formatMac(mac)]).toEqual([DHCP_TYPE.ACK, 0x01020304, GUEST_MAC]);
    expect(ip(options.get(DHCP_OPTION.SUBNET_MASK))).toBe("255.255.255.0");
    expect(ip(options.get(DHCP_OPTION.ROUTER))).toBe("10.0.2.2");
    expect(ip(options.get(DHCP_OPTION.DNS))).toBe("10.0.2.3");
    expect(text(options.get(DHCP_OPTION.INTERFACE_MTU)!)).toBe("05 dc");
    expect(text(options.get(DHCP_OPTION.LEASE_TIME)!)).toBe("00 01 51 80");
    expect(parseDomains(options.get(DHCP_OPTION.SEARCH)!)).toEqual(["example.test", "b.test"]);
  });

  test("the first machine gets the guest's address, others .15 to .30; each keeps its own", () => {
    const world = new World();
    const mac = (index: number) => `02:00:00:00:01:${index.toString(16).padStart(2, "0")}`;
    const addresses = Array.from({ length: 18 }, (_, index) => lease(world, mac(index)));
    expect(addresses).toEqual([
      "10.0.2.100",
      ...Array.from({ length: 16 }, (_, index) => `10.0.2.${index + 15}`),
      undefined,
    ]);
    expect(lease(world, mac(3))).toBe("10.0.2.17");
  });

  test("a client that comes back with its old address keeps it, with another's is refused", () => {
    const world = new World();
    expect(ask(world, DHCP_TYPE.REQUEST, { requested: "10.0.2.20" })!.your).toBe("10.0.2.20");
    const renewed = ask(world, DHCP_TYPE.REQUEST, { client: "10.0.2.20" })!;
    expect([renewed.type, renewed.your, renewed.destination]).toEqual([
      DHCP_TYPE.ACK,
      "10.0.2.20",
      "10.0.2.20",
    ]);
    const other = { mac: "02:00:00:00:01:01", requested: "10.0.2.20" };
    const refused = ask(world, DHCP_TYPE.REQUEST, other)!;
    expect([refused.type, refused.your, refused.destination, refused.to]).toEqual([
      DHCP_TYPE.NAK,
      "0.0.0.0",
      "255.255.255.255",
      "ff:ff:ff:ff:ff:ff",
    ]);
    expect(ask(world, DHCP_TYPE.REQUEST, { requested: "192.0.2.9" })!.type).toBe(DHCP_TYPE.NAK);
  });

  test("released addresses are free again, declined ones go last", () => {
    const world = new World();
    lease(world, GUEST_MAC);
    ask(world, DHCP_TYPE.RELEASE, { client: "10.0.2.100" });
    expect(lease(world, "02:00:00:00:01:01")).toBe("10.0.2.100");
    ask(world, DHCP_TYPE.DECLINE, { mac: "02:00:00:00:01:01", requested: "10.0.2.100", server: "10.0.2.2" });
    expect(lease(world, "02:00:00:00:01:02")).toBe("10.0.2.15");
  });

  test("inform is answered without an address", () => {
    const world = new World();
    const ack = ask(world, DHCP_TYPE.INFORM, { client: "10.0.2.77" })!;
    expect([ack.type, ack.your, ack.destination]).toEqual([DHCP_TYPE.ACK, "0.0.0.0", "10.0.2.77"]);
    expect(ack.answer.options.has(DHCP_OPTION.LEASE_TIME)).toBe(false);
    expect(ip(ack.answer.options.get(DHCP_OPTION.DNS))).toBe("10.0.2.3");
  });

  test("broadcast where the client asks for it; silence for relays and for other servers' clients", () => {
    const world = new World({ dns: false });
    const offer = ask(world, DHCP_TYPE.DISCOVER, { flags: 0x8000 })!;
    expect([offer.destination, offer.to]).toEqual(["255.255.255.255", "ff:ff:ff:ff:ff:ff"]);
    expect(offer.answer.options.has(DHCP_OPTION.DNS)).toBe(false);
    expect(ask(world, DHCP_TYPE.DISCOVER, { relay: "10.0.2.9" })).toBeUndefined();
    expect(ask(world, DHCP_TYPE.REQUEST, { requested: "10.0.2.100", server: "10.0.2.9" })).toBeUndefined();
  });

  test("a small network has fewer addresses to give", () => {
    const config = new World().config.ipv4;
    const world = new World({
      ipv4: {
        ...config,
        subnet: { ip: config.subnet.ip, prefix: 28 },
        guest: { family: 4, bytes: address("10.0.2.10") },
      },
    });
    expect(lease(world, GUEST_MAC)).toBe("10.0.2.10");
    expect(lease(world, "02:00:00:00:01:01")).toBeUndefined();
  });
});

describe("stateless DHCPv6", () => {
  const SERVERS = "[ff02::1:2]:547";
  const frame = { to: "33:33:00:01:00:02" };
  const client = { code: 1, value: join([0, 3, 0, 1, 2, 0, 0, 0, 0, 9]) };

  test("resolvers and search list for whom asks", () => {
    const world = new World({ searchDomains: ["example.test"] });
    const question = emitDhcpv6({ type: 11, transaction: 0x123456, options: [client] });
    world.guest(udp("[fe80::9]:546", SERVERS, question, frame));
    const [answer] = world.takeFrames();
    expect(show(answer!).slice(0, 50)).toBe("udp [fe80::5055:aff:fe00:202]:547 > [fe80::9]:546 ");
    const reply = parseDhcpv6(dissect(answer!).message.subarray(8))!;
    expect([reply.type, reply.transaction]).toEqual([7, 0x123456]);
    const option = (code: number) => text(reply.options.find(one => one.code === code)!.value);
    expect(option(1)).toBe(text(client.value));
    expect(option(2)).toBe("00 03 00 01 52 55 0a 00 02 02");
    expect(option(23)).toBe(text(address("fd00::3")));
    expect(option(24)).toBe(text(join([7], "example", [4], "test", [0])));
  });

  test("who wants addresses, or another server, is not answered", () => {
    const world = new World();
    for (const message of [
      emitDhcpv6({ type: 1, transaction: 1, options: [client] }),
      emitDhcpv6({
        type: 11,
        transaction: 1,
        options: [{ code: 2, value: join([0, 3, 0, 1, 9, 9, 9, 9, 9, 9]) }],
      }),
      emitDhcpv6({ type: 11, transaction: 1, options: [client] }).subarray(0, 9),
    ])
      world.guest(udp("[fe80::9]:546", SERVERS, message, frame));
    expect(world.take()).toEqual([]);
  });
});
