import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { checkArp } from "./arp.ts";
import { type DhcpMessage, emitDhcp, parseDhcp } from "./dhcp.ts";
import { emitDhcpv6, parseDhcpv6 } from "./dhcpv6.ts";
import { emitDomains, parseDomains } from "./domain.ts";
import { checkIPv4, IPV4, putIPv4, sealIPv4 } from "./ipv4.ts";
import { checkIPv6, FRAGMENT, IPV6, putFragmentHeader, putIPv6 } from "./ipv6.ts";
import { emitRouterAdvertisement, findOption, ND_OPTION } from "./nd.ts";
import { checkUdp, putUdp, UDP } from "./udp.ts";

const byte = fc.nat(0xff);
const short = fc.nat(0xffff);
const word = fc.nat(0xffffffff);
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
/** Addresses, hardware or other, as parsers give them: with a buffer of their own. */
const plain = (value: Uint8Array) => Uint8Array.from(value);

describe("headers", () => {
  test("what is written is what is read", () => {
    fc.assert(
      fc.property(
        fc.nat(20),
        short,
        short,
        byte,
        byte,
        fc.nat(1000),
        (at, id, fragment, ttl, protocol, size) => {
          const buffer = new Uint8Array(at + 20 + size);
          const view = new DataView(buffer.buffer);
          putIPv4(view, at, id, fragment, ttl, protocol);
          sealIPv4(view, buffer, at, 20 + size);
          expect(checkIPv4(view, buffer, at, buffer.length)).toBe(20);
          expect([
            view.getUint16(at + IPV4.TOTAL_LENGTH),
            view.getUint16(at + IPV4.IDENTIFICATION),
            view.getUint16(at + IPV4.FRAGMENT),
            buffer[at + IPV4.TTL],
            buffer[at + IPV4.PROTOCOL],
          ]).toEqual([20 + size, id, fragment, ttl, protocol]);
        },
      ),
    );
    fc.assert(
      fc.property(byte, byte, fc.nat(8191), fc.boolean(), word, (next, hops, blocks, more, id) => {
        const view = new DataView(new ArrayBuffer(48));
        putIPv6(view, 0, 44, hops);
        view.setUint16(IPV6.PAYLOAD_LENGTH, 8);
        putFragmentHeader(view, 40, next, blocks * 8, more, id);
        expect(checkIPv6(view, 0, 48)).toBe(true);
        expect(checkIPv6(view, 0, 47)).toBe(false);
        expect([
          view.getUint8(IPV6.HOP_LIMIT),
          view.getUint8(40),
          view.getUint16(40 + FRAGMENT.OFFSET) & FRAGMENT.MASK,
          (view.getUint16(40 + FRAGMENT.OFFSET) & 1) === 1,
          view.getUint32(40 + FRAGMENT.IDENTIFICATION),
        ]).toEqual([hops, next, blocks * 8, more, id]);
      }),
    );
    fc.assert(
      fc.property(short, short, fc.nat(2000), (from, to, length) => {
        const view = new DataView(new ArrayBuffer(8 + length));
        putUdp(view, 0, from, to, length);
        expect([view.getUint16(UDP.SOURCE), view.getUint16(UDP.DESTINATION)]).toEqual([from, to]);
        expect(checkUdp(view, 0, 8 + length)).toBe(length);
        expect(checkUdp(view, 0, 7 + length)).toBe(-1);
      }),
    );
  });

  test("any bytes are judged without reading past their end", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(80), (data, end) => {
        const stop = Math.min(end, data.length);
        // A view that ends where the packet ends throws at any step beyond.
        const part = data.slice(0, stop);
        const view = new DataView(part.buffer);
        const header = checkIPv4(view, part, 0, stop);
        expect(header === -1 || (header >= 20 && header <= stop)).toBe(true);
        checkIPv6(view, 0, stop);
        checkArp(view, 0, stop);
        expect(checkUdp(view, 0, stop)).toBeLessThanOrEqual(stop);
        expect(findOption(part, 0, stop, 1)).toBeLessThanOrEqual(stop);
      }),
    );
  });
});

describe("DHCP messages", () => {
  const options = fc
    .uniqueArray(
      fc.tuple(
        fc.integer({ min: 1, max: 254 }).filter(type => type !== 52),
        fc.uint8Array({ maxLength: 300 }),
      ),
      {
        maxLength: 3,
        selector: ([type]) => type,
      },
    )
    .map(list => new Map<number, Uint8Array>(list.map(([type, value]) => [type, plain(value)])));
  const message: fc.Arbitrary<DhcpMessage> = fc.record({
    operation: byte,
    transaction: word,
    seconds: short,
    flags: short,
    client: bytes(4).map(plain),
    your: bytes(4).map(plain),
    server: bytes(4).map(plain),
    relay: bytes(4).map(plain),
    mac: bytes(6).map(plain),
    options,
  });

  test("survive the way out and in", () => {
    fc.assert(
      fc.property(message, one => {
        expect(parseDhcp(emitDhcp(one))).toEqual(one);
      }),
    );
  });

  test("any bytes, and any message with bytes changed, are read or refused", () => {
    const judge = (data: Uint8Array) => {
      const read = parseDhcp(data);
      for (const value of read?.options.values() ?? []) expect(value.length).toBeLessThanOrEqual(data.length);
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), judge));
    fc.assert(
      fc.property(
        message,
        fc.array(fc.tuple(fc.nat(400), byte), { maxLength: 6 }),
        fc.nat(400),
        (one, changes, cut) => {
          const data = emitDhcp(one);
          for (const [at, value] of changes) if (at < data.length) data[at] = value;
          judge(data);
          judge(data.subarray(0, cut));
        },
      ),
    );
  });

  test("options in the fields of file and server name are found where the overload option says so", () => {
    const data = emitDhcp({
      operation: 1,
      transaction: 1,
      seconds: 0,
      flags: 0,
      client: new Uint8Array(4),
      your: new Uint8Array(4),
      server: new Uint8Array(4),
      relay: new Uint8Array(4),
      mac: new Uint8Array(6),
      options: new Map([[52, Uint8Array.of(3)]]),
    });
    data.set([53, 1, 1, 255], 108);
    data.set([50, 4, 10, 0, 2, 15, 255], 44);
    const { options: found } = parseDhcp(data)!;
    expect([...found]).toEqual([
      [53, Uint8Array.of(1)],
      [50, Uint8Array.of(10, 0, 2, 15)],
    ]);
  });

  test("long messages, that no client sends, are not read", () => {
    const data = new Uint8Array(1501);
    data.set(emitDhcp(parseDhcp(emitDhcp(fc.sample(message, 1)[0]!))!).subarray(0, 1501));
    expect(parseDhcp(data)).toBeUndefined();
  });
});

describe("DHCPv6 messages and domain names", () => {
  test("survive the way out and in", () => {
    const option = fc.record({ code: short, value: fc.uint8Array({ maxLength: 40 }).map(plain) });
    fc.assert(
      fc.property(byte, fc.nat(0xffffff), fc.array(option), (type, transaction, options) => {
        const one = { type, transaction, options };
        expect(parseDhcpv6(emitDhcpv6(one))).toEqual(one);
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.domain()), names => {
        expect(parseDomains(emitDomains(names))).toEqual(names);
      }),
    );
  });

  test("any bytes are read or refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), data => {
        for (const { value } of parseDhcpv6(data)?.options ?? [])
          expect(value.length).toBeLessThanOrEqual(data.length);
        expect((parseDomains(data) ?? []).length).toBeLessThanOrEqual(data.length);
      }),
    );
  });

  test("names that are none are left out", () => {
    expect(parseDomains(emitDomains(["a..b", "", "x".repeat(64), "fine.test.", "y.".repeat(130)]))).toEqual([
      "fine.test",
    ]);
    expect(parseDomains(emitDomains(["one.test", "two.test", "three.test"], 20))).toEqual([
      "one.test",
      "two.test",
    ]);
  });

  test("a name may end in an earlier one, but not in itself nor in a later one", () => {
    const list = (...parts: (string | number)[]) =>
      Uint8Array.from(
        parts.flatMap(one => (typeof one === "number" ? [one] : [one.length, ...Buffer.from(one)])),
      );
    expect(parseDomains(list("a", "test", 0, "b", 0xc0, 2))).toEqual(["a.test", "b.test"]);
    expect(parseDomains(list("a", 0, 0xc0, 0))).toEqual(["a", "a"]);
    expect(parseDomains(list("a", 0xc0, 0))).toBeUndefined();
    expect(parseDomains(list("a", 0xc0, 9, "b", 0))).toBeUndefined();
    expect(parseDomains(list("a", 0, 0xc0))).toBeUndefined();
  });
});

test("a router's advertisement has its options where they are looked for", () => {
  fc.assert(
    fc.property(
      bytes(6),
      bytes(16),
      fc.array(bytes(16), { maxLength: 3 }),
      fc.array(fc.domain()),
      (mac, prefix, dns, names) => {
        const search = emitDomains(names);
        if (search.length > 2000) return;
        const data = emitRouterAdvertisement({
          hopLimit: 64,
          otherConfig: true,
          lifetime: 1800,
          mac,
          mtu: 1500,
          prefix: { bytes: prefix, length: 64, autonomous: true, valid: 100, preferred: 50 },
          dns,
          search,
          dnsLifetime: 1800,
        });
        const find = (type: number) => findOption(data, 16, data.length, type);
        expect(plain(data.subarray(find(ND_OPTION.SOURCE_MAC)).subarray(0, 6))).toEqual(plain(mac));
        expect(plain(data.subarray(find(ND_OPTION.PREFIX) + 14).subarray(0, 16))).toEqual(plain(prefix));
        expect(find(ND_OPTION.RDNSS) > 0).toBe(dns.length > 0);
        const at = find(ND_OPTION.DNSSL);
        expect(at > 0).toBe(search.length > 0);
        if (at > 0) expect(plain(data.subarray(at + 6, at + 6 + search.length))).toEqual(plain(search));
      },
    ),
  );
});
