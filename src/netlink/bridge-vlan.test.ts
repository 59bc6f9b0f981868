/** The bytes of requests for VLANs on bridges, which not every kernel has (linux/if_bridge.h). */
import { expect, test } from "bun:test";
import {
  addTrunkVlans,
  defaultVlan,
  filtersVlans,
  filterVlans,
  removeVlan,
  setAccessVlan,
} from "./bridge-vlan.ts";
import type { Link } from "./link.ts";
import { addLink } from "./new-link.ts";
import type { NetlinkSocket } from "./socket.ts";

function sent(ask: (nl: NetlinkSocket) => void): [number, number, string] {
  let message: [number, number, string] = [0, 0, ""];
  const nl = {
    request(_: string, type: number, flags: number, body: Uint8Array) {
      message = [type, flags, Buffer.from(body).toString("hex")];
      return [];
    },
  };
  ask(nl as unknown as NetlinkSocket);
  return message;
}

const hex = (...parts: string[]) => parts.join("");
const [NEWLINK, DELLINK, SETLINK] = [16, 17, 19];
/** `struct ifinfomsg` of port 7, of the family AF_BRIDGE. */
const PORT = hex("07000000", "07000000", "00000000", "00000000");
/** In IFLA_AF_SPEC: IFLA_BRIDGE_FLAGS, "by its master". */
const MASTER = hex("06000000", "01000000");

test("a port of one VLAN: PVID, untagged", () => {
  expect(sent(nl => setAccessVlan(nl, 7, 100))).toEqual([
    SETLINK,
    0,
    hex(PORT, "14001a80", MASTER, "08000200", "0600", "6400"),
  ]);
});

test("a trunk: single VLANs, and ranges by their ends", () => {
  const vlans = [
    { first: 5, last: 5 },
    { first: 300, last: 4094 },
  ];
  expect(sent(nl => addTrunkVlans(nl, 7, vlans))).toEqual([
    SETLINK,
    0,
    hex(PORT, "24001a80", MASTER, "08000200", "00000500", "08000200", "08002c01", "08000200", "1000fe0f"),
  ]);
});

test("a VLAN that a port loses", () => {
  expect(sent(nl => removeVlan(nl, 7, 1))).toEqual([
    DELLINK,
    0,
    hex(PORT, "14001a80", MASTER, "08000200", "00000100"),
  ]);
});

/** IFLA_LINKINFO { "bridge", IFLA_INFO_DATA { IFLA_BR_VLAN_FILTERING 1 } }. */
const FILTERING = hex("1c001280", "0b000100", "6272696467650000", "0c000280", "05000700", "01000000");

test("a bridge that filters, from its beginning or from now on", () => {
  expect(sent(nl => addLink(nl, { kind: "bridge", name: "b0", vlanFiltering: true }))).toEqual([
    NEWLINK,
    0x600,
    hex("00".repeat(16), "07000300", "62300000", FILTERING),
  ]);
  expect(sent(nl => filterVlans(nl, { index: 3, name: "b0" } as Link))).toEqual([
    NEWLINK,
    0,
    hex("00000000", "03000000", "00".repeat(8), FILTERING),
  ]);
});

test("what a bridge tells of its VLANs", () => {
  const bridge = (info: [number, number[]][]) =>
    ({ info: info.map(([type, bytes]) => ({ type, value: Uint8Array.from(bytes) })) }) as unknown as Link;
  expect([filtersVlans(bridge([])), defaultVlan(bridge([]))]).toEqual([false, undefined]);
  const one = bridge([
    [7, [1]],
    [39, [44, 1]],
  ]);
  expect([filtersVlans(one), defaultVlan(one)]).toEqual([true, 300]);
  expect(defaultVlan(bridge([[39, [0, 0]]]))).toBeUndefined();
});
