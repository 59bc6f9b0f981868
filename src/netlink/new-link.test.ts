/** The bytes of requests for links whose kinds not every kernel has (rtnetlink(7); numbers of linux/if_link.h). */
import { expect, test } from "bun:test";
import { addLink, type LinkSpec } from "./new-link.ts";
import type { NetlinkSocket } from "./socket.ts";

function sent(spec: LinkSpec): { what: string; type: number; flags: number; body: string } {
  let message = { what: "", type: 0, flags: 0, body: "" };
  const nl = {
    request(what: string, type: number, flags: number, body: Uint8Array) {
      message = { what, type, flags, body: Buffer.from(body).toString("hex") };
      return [];
    },
  };
  addLink(nl as unknown as NetlinkSocket, spec);
  return message;
}

/** `struct ifinfomsg` of a link that is not there yet. */
const NO_INDEX = "00".repeat(16);
const NEWLINK = 16;
const CREATE_EXCL = 0x600;

test.each([
  [
    { kind: "vlan", name: "v5", parent: 7, vlanId: 5, mtu: 1400, netns: 9 },
    // IFLA_IFNAME, IFLA_MTU, IFLA_NET_NS_FD, IFLA_LINK
    "07000300" + "76350000" + "08000400" + "78050000" + "08001c00" + "09000000" + "08000500" + "07000000",
    // IFLA_LINKINFO { IFLA_INFO_KIND "vlan", IFLA_INFO_DATA { IFLA_VLAN_ID } }
    "1c001280" + "09000100" + "766c616e00000000" + "0c000280" + "06000100" + "05000000",
  ],
  [
    { kind: "ipvlan", name: "i0", parent: 2, ipvlanMode: "l3s" },
    "07000300" + "69300000" + "08000500" + "02000000",
    "1c001280" + "0b000100" + "6970766c616e0000" + "0c000280" + "06000100" + "02000000",
  ],
  [
    { kind: "vrf", name: "red", vrfTable: 1001 },
    "08000300" + "72656400",
    "18001280" + "08000100" + "76726600" + "0c000280" + "08000100" + "e9030000",
  ],
  [
    { kind: "dummy", name: "d0", mac: "02:11:22:33:44:55", netns: 4 },
    "07000300" + "64300000" + "0a000100" + "0211223344550000" + "08001c00" + "04000000",
    "10001280" + "0a000100" + "64756d6d79000000",
  ],
  [
    { kind: "macvlan", name: "m0", parent: 2, macvlanMode: "vepa", broadcastQueue: 200 },
    "07000300" + "6d300000" + "08000500" + "02000000",
    "24001280" +
      "0c000100" +
      "6d6163766c616e00" +
      "14000280" +
      "08000100" +
      "02000000" +
      "08000700" +
      "c8000000",
  ],
] as [LinkSpec, string, string][])("%p", (spec, common, info) => {
  expect(sent(spec)).toEqual({
    what: `add ${spec.kind} ${spec.name}`,
    type: NEWLINK,
    flags: CREATE_EXCL,
    body: NO_INDEX + common + info,
  });
});
