/**
 * What vrf asks of a kernel that has VRFs, to the byte: few kernels of test machines have them. The kernel here is a table of
 * links that forgets what a real one forgets when an interface gets another master.
 */
import { expect, test } from "bun:test";
import { SysError } from "../../base/errors.ts";
import { linkHeader } from "../../netlink/link.ts";
import type { NetlinkSocket } from "../../netlink/socket.ts";
import { parseCidr } from "../../wire/addr.ts";
import { type Attribute, attr, body, type Message, parseAttributes, value } from "../../wire/netlink.ts";
import { checkVrf, joinVrf, leaveVrf } from "./vrf.ts";

const [NEWLINK, DELLINK, GETLINK, NEWADDR, GETADDR, NEWROUTE, GETROUTE] = [16, 17, 18, 20, 22, 24, 26];
const IFLA = { IFNAME: 3, MASTER: 10, LINKINFO: 18 };
const ETH0 = 4;

interface FakeLink {
  index: number;
  name: string;
  master: number;
  kind: string;
  table?: number;
}

const message = (bytes: Uint8Array): Message => ({ type: 0, flags: 0, seq: 0, pid: 0, body: bytes });
const ip = (text: string) => parseCidr(text)!.ip.bytes;

function linkMessage({ index, name, master, kind, table }: FakeLink): Message {
  const info = [attr.string(1, kind)];
  if (table !== undefined) info.push(attr.nested(2, [attr.u32(1, table)]));
  return message(
    body(linkHeader(index), [
      attr.string(IFLA.IFNAME, name),
      attr.u32(IFLA.MASTER, master),
      attr.nested(IFLA.LINKINFO, info),
    ]),
  );
}

/** `struct ifaddrmsg` of IPv6 with its address. */
const addressMessage = (cidr: string, scope: number) =>
  message(
    body(Uint8Array.of(10, parseCidr(cidr)!.prefix, 0, scope, ETH0, 0, 0, 0), [attr.bytes(1, ip(cidr))]),
  );

/** `struct rtmsg` of a route by eth0 in the main table. */
const routeMessage = (
  family: number,
  cidr: string,
  protocol: number,
  scope: number,
  more: Attribute[] = [],
) =>
  message(
    body(Uint8Array.of(family, parseCidr(cidr)!.prefix, 0, 0, 254, protocol, scope, 1, 0, 0, 0, 0), [
      attr.bytes(1, ip(cidr)),
      attr.u32(4, ETH0),
      ...more,
    ]),
  );

class FakeKernel {
  readonly asked: [type: number, flags: number, body: string][] = [];
  links: FakeLink[] = [{ index: ETH0, name: "eth0", master: 0, kind: "veth" }];
  addresses: Message[] = [];
  routes: Message[] = [];

  get socket(): NetlinkSocket {
    return this as unknown as NetlinkSocket;
  }

  dump(_: string, type: number, asked: Uint8Array): Message[] {
    if (type === GETLINK) return this.links.map(linkMessage);
    if (type === GETADDR) return this.addresses;
    if (type === GETROUTE) return this.routes.filter(one => one.body[0] === asked[0]);
    return [];
  }

  request(what: string, type: number, flags: number, bytes: Uint8Array): Message[] {
    const attributes = parseAttributes(bytes.subarray(type === NEWADDR ? 8 : type === NEWROUTE ? 12 : 16));
    const index = new DataView(bytes.buffer, bytes.byteOffset).getInt32(4, true);
    const name = attributes.find(one => one.type === IFLA.IFNAME);
    const found = this.links.find(one =>
      name ? one.name === value.string(name.value) : one.index === index,
    );
    if (type === GETLINK) {
      if (!found) throw new SysError(what, 19, "ENODEV");
      return [linkMessage(found)];
    }
    this.asked.push([type, flags, Buffer.from(bytes).toString("hex")]);
    if (type === DELLINK) this.links = this.links.filter(one => one !== found);
    if (type !== NEWLINK) return [];
    if (index === 0) {
      const info = parseAttributes(attributes.find(one => one.type === IFLA.LINKINFO)!.value);
      const table = value.u32(parseAttributes(info[1]!.value)[0]!.value);
      this.links.push({ index: 9, name: value.string(name!.value), master: 0, kind: "vrf", table });
    } else {
      found!.master = value.u32(attributes.find(one => one.type === IFLA.MASTER)!.value);
      this.addresses = [];
      this.routes = [];
    }
    return [];
  }
}

const AS_IT_IS = 0;
const CREATE_EXCL = 0x600;
const CREATE_REPLACE = 0x500;
const ENSLAVE = `${"00000000"}${"04000000"}${"00".repeat(8)}${"08000a00"}${"09000000"}`;

test("a VRF with the first free table is made; addresses of IPv6 and routes that somebody added follow into it", () => {
  const kernel = new FakeKernel();
  kernel.links.push({ index: 5, name: "blue", master: 0, kind: "vrf", table: 1 });
  kernel.addresses = [addressMessage("fd00::5/64", 0), addressMessage("fe80::5/64", 253)];
  kernel.routes = [
    routeMessage(2, "0.0.0.0/0", 3, 0, [attr.bytes(5, ip("10.0.0.1/24"))]),
    routeMessage(2, "10.0.0.0/24", 2, 253),
    routeMessage(2, "10.9.0.0/16", 3, 0),
    routeMessage(10, "fd00::/64", 2, 0),
  ];
  joinVrf(kernel.socket, { name: "red" }, "eth0");
  expect(kernel.asked).toEqual([
    // Up; IFLA_IFNAME "red"; IFLA_LINKINFO { IFLA_INFO_KIND "vrf", IFLA_INFO_DATA { IFLA_VRF_TABLE 2 } }
    [
      NEWLINK,
      CREATE_EXCL,
      `${"00".repeat(8)}${"0100000001000000"}${"0800030072656400"}` +
        `${"18001280"}${"0800010076726600"}${"0c000280"}${"0800010002000000"}`,
    ],
    [NEWLINK, AS_IT_IS, ENSLAVE],
    // IFA_LOCAL, IFA_ADDRESS, IFA_FLAGS IFA_F_NODAD
    [
      NEWADDR,
      CREATE_EXCL,
      `${"0a40000004000000"}${"14000200fd000000000000000000000000000005"}` +
        `${"14000100fd000000000000000000000000000005"}${"0800080002000000"}`,
    ],
    // Table 2 in the header and in RTA_TABLE; the route without a gateway comes first.
    [
      NEWROUTE,
      CREATE_REPLACE,
      `${"0210000002030001"}00000000${"080001000a090000"}${"0800040004000000"}${"08000f0002000000"}`,
    ],
    [
      NEWROUTE,
      CREATE_REPLACE,
      `${"0200000002030001"}00000000${"080005000a000001"}${"0800040004000000"}${"08000f0002000000"}`,
    ],
  ]);
  checkVrf(kernel.socket, { name: "red" }, "eth0");
  expect(() => checkVrf(kernel.socket, { name: "red", table: 3 }, "eth0")).toThrow(
    "VRF red has routing table 2, not 3",
  );
  expect(() => checkVrf(kernel.socket, { name: "blue" }, "eth0")).toThrow(
    "Failed to find eth0 associated to vrf blue",
  );
});

test("a VRF that is there is joined; one of another table, another kind of link, an interface with a master are refused", () => {
  const kernel = new FakeKernel();
  kernel.links.push({ index: 9, name: "red", master: 0, kind: "vrf", table: 7 });
  kernel.links.push({ index: 6, name: "br0", master: 0, kind: "bridge" });
  const join = (name: string, table?: number, ifName = "eth0") =>
    joinVrf(kernel.socket, { name, table }, ifName);
  expect(() => join("red", 8)).toThrow("VRF red already exist with different routing table 7");
  expect(() => join("br0")).toThrow("Netlink br0 is not a VRF");
  expect(() => join("red", 7, "eth1")).toThrow("could not get link by name eth1");
  expect(kernel.asked).toEqual([]);
  join("red", 7);
  expect(kernel.asked).toEqual([[NEWLINK, AS_IT_IS, ENSLAVE]]);
  expect(() => join("red")).toThrow("interface eth0 has already a master set: red");
});

test("the VRF goes with its last interface, and what is gone is no obstacle", () => {
  const kernel = new FakeKernel();
  const red = { index: 9, name: "red", master: 0, kind: "vrf", table: 7 };
  kernel.links = [
    { index: ETH0, name: "eth0", master: 9, kind: "veth" },
    { index: 5, name: "eth1", master: 9, kind: "veth" },
    red,
  ];
  const free = (index: string) => [
    NEWLINK,
    AS_IT_IS,
    `00000000${index}${"00".repeat(8)}${"08000a0000000000"}`,
  ];
  leaveVrf(kernel.socket, "red", "eth0");
  expect(kernel.asked).toEqual([free("04000000")] as never);
  leaveVrf(kernel.socket, "red", "eth1");
  expect(kernel.asked.slice(1)).toEqual([
    free("05000000"),
    [DELLINK, AS_IT_IS, `00000000${"09000000"}${"00".repeat(8)}`],
  ] as never);
  leaveVrf(kernel.socket, "red", "eth1");
  kernel.links = [red];
  leaveVrf(kernel.socket, "red", "eth0");
  expect(kernel.links).toEqual([]);
});
