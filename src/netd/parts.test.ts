import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatIP, parseIP } from "../wire/addr.ts";
import { isForbidden } from "./outbound.ts";
import { parseResolvConf } from "./resolv-conf.ts";

const servers = (text: string) =>
  parseResolvConf(text).nameservers.map(one => formatIP(one.ip) + (one.zone && `%${one.zone}`));

test("resolv.conf: resolvers in order, three at most, comments and oddities passed over", () => {
  const text = [
    "# generated",
    "; by hand",
    "nameserver 192.0.2.1",
    "nameserver\tfd00::53   # not part of it",
    " nameserver 192.0.2.9",
    "nameserver 10.1",
    "nameserver 010.0.0.1",
    "nameserver fe80::1%eth0",
    "nameserver 192.0.2.4",
    "search example.org sub.example.net",
    "options edns0 trust-ad",
  ].join("\n");
  expect(servers(text)).toEqual(["192.0.2.1", "fd00::53", "fe80::1%eth0"]);
  expect(parseResolvConf(text).search).toEqual(["example.org", "sub.example.net"]);
});

test("resolv.conf: the last of search and domain counts; names that are none are left out", () => {
  expect(parseResolvConf("search a.example\ndomain b.example c.example").search).toEqual(["b.example"]);
  expect(parseResolvConf("search ok.example bad..name $(reboot) .").search).toEqual(["ok.example"]);
});

test("resolv.conf: any text gives strict addresses", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.string(), fc.ipV4(), fc.ipV6(), fc.constant("nameserver "))), parts => {
      for (const text of servers(parts.join("\n").replaceAll("nameserver \n", "nameserver ")))
        expect(parseIP(text.split("%")[0]!)).toBeDefined();
    }),
  );
});

test("no guest reaches this host by an address that only means it", () => {
  const forbidden = (text: string) => isForbidden(parseIP(text)!.bytes);
  for (const text of ["127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "::", "::1", "::ffff:127.0.0.1"])
    expect([text, forbidden(text)]).toEqual([text, true]);
  for (const text of ["::ffff:192.0.2.1", "::7f00:1"]) expect([text, forbidden(text)]).toEqual([text, true]);
  for (const text of ["192.0.2.1", "10.0.0.1", "2001:db8::1", "fd00::1", "fe80::1"])
    expect([text, forbidden(text)]).toEqual([text, false]);
});
