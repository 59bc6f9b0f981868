import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  bigIntToIp,
  contains,
  formatCidr,
  formatIP,
  formatMac,
  ipToBigInt,
  lastOf,
  networkOf,
  parseCidr,
  parseIP,
  parseMac,
} from "./addr.ts";
import { attr, emitAttributes, emitMessage, parseAttributes, parseMessages, WireError } from "./netlink.ts";

describe("addresses", () => {
  test("text and bytes are one to one", () => {
    fc.assert(fc.property(fc.ipV4(), text => formatIP(parseIP(text)!) === text));
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), bytes => {
        expect(parseIP(formatIP({ family: 6, bytes }))!.bytes).toEqual(bytes);
      }),
    );
    fc.assert(
      fc.property(
        fc.ipV6(),
        text =>
          parseIP(text) !== undefined &&
          ipToBigInt(bigIntToIp(ipToBigInt(parseIP(text)!), 6)) === ipToBigInt(parseIP(text)!),
      ),
    );
  });

  test("RFC 5952 text", () => {
    for (const [given, canonical] of [
      ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
      ["::", "::"],
      ["0:0:0:0:0:0:0:1", "::1"],
      ["fd00:0:1:0:1:0:1:0", "fd00:0:1:0:1:0:1:0"],
      ["::ffff:10.0.0.1", "::ffff:10.0.0.1"],
    ] as const)
      expect(formatIP(parseIP(given)!)).toBe(canonical);
  });

  test("what is no address is refused", () => {
    for (const text of [
      "10.1",
      "010.0.0.1",
      "300.1.1.1",
      "0x7f.0.0.1",
      "1.2.3.4.5",
      "",
      "::1::",
      "1:2:3",
      ":1:2:3:4:5:6:7",
      "12345::",
      "g::",
      "1.2.3.4::",
      "fd00::1%eth0",
    ])
      expect(parseIP(text)).toBeUndefined();
    for (const text of ["10.0.0.0", "10.0.0.0/33", "fd00::/129", "10.0.0.0/", "10.0.0.0/08", "/8"])
      expect(parseCidr(text)).toBeUndefined();
    fc.assert(
      fc.property(fc.string(), text => {
        const ip = parseIP(text);
        return ip === undefined || parseIP(formatIP(ip)) !== undefined;
      }),
    );
  });

  test("networks", () => {
    const cidr = parseCidr("10.88.3.4/16")!;
    expect(formatIP(networkOf(cidr))).toBe("10.88.0.0");
    expect(formatIP(lastOf(cidr))).toBe("10.88.255.255");
    expect(formatCidr(cidr)).toBe("10.88.3.4/16");
    expect(contains(cidr, parseIP("10.88.200.1")!)).toBe(true);
    expect(contains(cidr, parseIP("10.89.0.1")!)).toBe(false);
    expect(contains(cidr, parseIP("fd00::1")!)).toBe(false);
    expect(formatMac(parseMac("AA:bb:0c:00:11:ff")!)).toBe("aa:bb:0c:00:11:ff");
    expect(parseMac("aa:bb:cc:dd:ee")).toBeUndefined();
  });
});

describe("netlink messages", () => {
  const attribute = fc.record({
    type: fc.integer({ min: 0, max: 0x3fff }),
    value: fc.uint8Array({ maxLength: 40 }),
  });

  test("attributes survive the way out and in", () => {
    fc.assert(
      fc.property(fc.array(attribute), list => {
        expect(parseAttributes(emitAttributes(list))).toEqual(list);
      }),
    );
  });

  test("messages survive the way out and in", () => {
    const word = fc.integer({ min: 0, max: 0xffffffff });
    const short = fc.integer({ min: 0, max: 0xffff });
    fc.assert(
      fc.property(
        fc.record({
          type: short,
          flags: short,
          seq: word,
          pid: word,
          body: fc.uint8Array({ maxLength: 60 }),
        }),
        message => {
          expect(parseMessages(emitMessage(message))).toEqual([message]);
        },
      ),
    );
  });

  test("any bytes are read or refused with a WireError, and never past their end", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), data => {
        for (const parse of [parseMessages, parseAttributes]) {
          try {
            for (const item of parse(data))
              expect("body" in item ? item.body.length : item.value.length).toBeLessThanOrEqual(data.length);
          } catch (error) {
            expect(error).toBeInstanceOf(WireError);
          }
        }
      }),
    );
  });

  test("literal bytes: IFLA_MTU 1500", () => {
    expect([...emitAttributes([attr.u32(4, 1500)])]).toEqual([8, 0, 4, 0, 0xdc, 5, 0, 0]);
  });
});
