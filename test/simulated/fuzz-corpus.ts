/** Valid frames of each protocol, as a fuzzer's beginnings. */
import { emitDhcp } from "../../src/wire/dhcp.ts";
import { emitDhcpv6 } from "../../src/wire/dhcpv6.ts";
import {
  address,
  arp,
  echo,
  ethernet,
  GUEST_MAC,
  GUEST4,
  GUEST6,
  icmp,
  join,
  packet,
  summed,
  u16,
  u32,
  udp,
  udpMessage,
} from "../support/guest.ts";

const PEER4 = "192.0.2.7";
const PEER6 = "2001:db8::7";
const LINK_LOCAL = "fe80::9";
const ROUTER = "fe80::5055:aff:fe00:202";
const DNS_QUERY = join([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], [1, 97, 0, 0, 1, 0, 1]);

/** A TCP segment; `flags` is the byte of FIN to CWR. */
function tcp(from: string, to: string, ports: [number, number], flags: number, options: number[], data = "") {
  const header = join(
    u16(ports[0]),
    u16(ports[1]),
    u32(1000),
    u32(2000),
    [((20 + options.length) / 4) << 4, flags],
    u16(64_000),
    [0, 0, 0, 0],
    options,
    data,
  );
  return packet(6, from, to, summed(6, from, to, header, 16));
}

function dhcp(type: number, from = "0.0.0.0") {
  const none = new Uint8Array(4);
  const message = emitDhcp({
    operation: 1,
    transaction: 7,
    seconds: 0,
    flags: type % 2 ? 0 : 0x8000,
    client: address(from),
    your: none,
    server: none,
    relay: none,
    mac: Uint8Array.of(2, 0, 0, 0, 0, 9),
    options: new Map<number, Uint8Array>([
      [53, Uint8Array.of(type)],
      [50, address(GUEST4)],
      [55, Uint8Array.of(1, 3, 6, 26, 119)],
      [61, Uint8Array.of(1, 2, 0, 0, 0, 0, 9)],
    ]),
  });
  return udp(`${from}:68`, "255.255.255.255:67", message, { to: "ff:ff:ff:ff:ff:ff" });
}

function fragments(): Uint8Array<ArrayBuffer>[] {
  const frames: Uint8Array<ArrayBuffer>[] = [];
  const four = udpMessage(`${GUEST4}:4000`, `${PEER4}:9`, new Uint8Array(4000));
  const six = udpMessage(`[${GUEST6}]:4000`, `[${PEER6}]:9`, new Uint8Array(4000));
  for (let at = 0; at < four.length; at += 1480) {
    const more = at + 1480 < four.length;
    frames.push(
      packet(17, GUEST4, PEER4, four.subarray(at, at + 1480), {
        identification: 77,
        fragment: (more ? 0x2000 : 0) | (at / 8),
      }),
      packet(
        44,
        GUEST6,
        PEER6,
        join([17, 0], u16(at | (more ? 1 : 0)), u32(77), six.subarray(at, at + 1480)),
      ),
    );
  }
  return frames;
}

const SYN_OPTIONS = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7];
const SACK = [1, 1, 5, 10, 0, 0, 8, 0, 0, 0, 9, 0];
const STAMPS = [1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 9];

/** What a guest quotes in its errors. */
const quoted4 = udp(`${PEER4}:9`, `${GUEST4}:4000`, "quoted").subarray(14);
const quotedTcp4 = tcp(PEER4, GUEST4, [80, 5000], 0x18, []).subarray(14);
const quoted6 = udp(`[${PEER6}]:9`, `[${GUEST6}]:4000`, "quoted").subarray(14);
const quotedTcp6 = tcp(PEER6, GUEST6, [80, 5000], 0x18, []).subarray(14);

const hosts: [string, string, string][] = [
  [GUEST4, PEER4, "10.0.2.2"],
  [GUEST6, PEER6, "fd00::2"],
];

export const corpus: Uint8Array<ArrayBuffer>[] = [
  arp(1, GUEST_MAC, GUEST4, "10.0.2.2"),
  arp(1, GUEST_MAC, "0.0.0.0", "10.0.2.3"),
  arp(2, GUEST_MAC, GUEST4, "10.0.2.2"),
  ethernet(0x88cc, new Uint8Array(40)),
  ...[1, 3, 4, 7, 8].map(type => dhcp(type)),
  dhcp(3, GUEST4),
  udp(
    `[${LINK_LOCAL}]:546`,
    "[ff02::1:2]:547",
    emitDhcpv6({
      type: 11,
      transaction: 5,
      options: [
        { code: 1, value: join([0, 3, 0, 1, 2, 0, 0, 0, 0, 9]) },
        { code: 6, value: join([0, 23, 0, 24]) },
      ],
    }),
    { to: "33:33:00:01:00:02" },
  ),
  udp(`${GUEST4}:4001`, "10.0.2.3:53", DNS_QUERY),
  udp(`[${GUEST6}]:4001`, "[fd00::3]:53", DNS_QUERY),
  ...fragments(),
  ...hosts.flatMap(([guest, peer, gateway]) => {
    const host = (ip: string, port: number) => (ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`);
    return [
      udp(host(guest, 4000), host(peer, 9), ""),
      udp(host(guest, 4000), host(peer, 9), "x".repeat(1400)),
      udp(host(guest, 4002), host(gateway, 10), "to the host"),
      echo(guest, gateway, 1, 1, "x".repeat(56)),
      echo(guest, peer, 1, 1, "x".repeat(56)),
      ...[80, 81, 82, 83].map(port => tcp(guest, peer, [5000, port], 0x02, SYN_OPTIONS)),
      tcp(guest, gateway, [5001, 80], 0xc2, SYN_OPTIONS),
      tcp(guest, peer, [5000, 80], 0x10, [...STAMPS, ...SACK]),
      tcp(guest, peer, [5000, 80], 0x18, STAMPS, "x".repeat(1000)),
      tcp(guest, peer, [5000, 80], 0x11, []),
      tcp(guest, peer, [5000, 80], 0x14, []),
    ];
  }),
  icmp(GUEST4, PEER4, 3, 3, 0, quoted4),
  icmp(GUEST4, PEER4, 3, 4, 1200, quotedTcp4),
  icmp(GUEST4, PEER4, 11, 0, 0, quotedTcp4),
  icmp(GUEST6, PEER6, 1, 4, 0, quoted6),
  icmp(GUEST6, PEER6, 2, 0, 1280, quotedTcp6),
  icmp(LINK_LOCAL, "ff02::2", 133, 0, 0, join([1, 1, 2, 0, 0, 0, 0, 9]), {
    ttl: 255,
    to: "33:33:00:00:00:02",
  }),
  icmp(GUEST6, "ff02::1:ff00:2", 135, 0, 0, join(address("fd00::2"), [1, 1, 2, 0, 0, 0, 0, 9]), {
    ttl: 255,
    to: "33:33:ff:00:00:02",
  }),
  icmp("::", "ff02::1:ff00:64", 135, 0, 0, address(GUEST6), { ttl: 255, to: "33:33:ff:00:00:64" }),
  icmp(GUEST6, ROUTER, 136, 0, 0x60000000, join(address(GUEST6), [2, 1, 2, 0, 0, 0, 0, 9]), { ttl: 255 }),
  icmp(LINK_LOCAL, "ff02::16", 143, 0, 1, join([4, 0, 0, 0], address("ff02::1:ff00:64")), {
    to: "33:33:00:00:00:16",
  }),
  packet(
    60,
    GUEST6,
    PEER6,
    join(
      [43, 0, 1, 4, 0, 0, 0, 0],
      [17, 0, 4, 0, 0, 0, 0, 0],
      udpMessage(`[${GUEST6}]:1`, `[${PEER6}]:9`, "ext"),
    ),
  ),
  packet(
    0,
    GUEST6,
    PEER6,
    join([58, 0, 5, 2, 0, 0, 1, 0], summed(58, GUEST6, PEER6, join([128, 0, 0, 0, 0, 1, 0, 1]), 2)),
  ),
  packet(132, GUEST4, PEER4, new Uint8Array(40)),
  packet(17, GUEST4, PEER4, udpMessage(`${GUEST4}:1`, `${PEER4}:9`, "options"), {
    options: Uint8Array.of(148, 4, 0, 0),
  }),
];
