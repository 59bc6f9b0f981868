/**
 * Transfers with checksums into and out of an ordinary user's containers, TCP and UDP, IPv4 and IPv6, by each network mode:
 * what is the same with podman 4.3.1, and whose address a server sees, which is not.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Outside } from "../support/outside.ts";
import { openPairs } from "./pairs.ts";
import { incoming, outgoing } from "./traffic.ts";
import { ENGINES } from "./world.ts";

const callers = openPairs(["user"], "probe");
const pair = () => callers[0]!.pair();
let outside: Outside;
beforeAll(async () => {
  outside = await Outside.open(pair().host);
  // The engines share a user's networks.
  await pair().user!.must("portolan", "network", "create", "four");
  const subnets = ["--subnet", "10.77.0.0/24", "--ipv6", "--subnet", "fd77::/64"];
  await pair().user!.must("portolan", "network", "create", ...subnets, "both");
});
afterAll(() => outside?.[Symbol.dispose]());

/** The same address for every way in. */
const everywhere = (address: string) =>
  Object.fromEntries(
    [
      "from outside by IPv4",
      "from outside by IPv6",
      "from the host by 127.0.0.1",
      "from the host by its address",
    ].flatMap(way => [
      [`TCP ${way}`, address],
      [`UDP ${way}`, address],
    ]),
  );

/** Callers with their own addresses; who calls the loopback address is the gateway, which has one in the container's world. */
const KEPT = {
  "TCP from outside by IPv4": "192.168.77.1",
  "UDP from outside by IPv4": "192.168.77.1",
  "TCP from outside by IPv6": "2001:db8::2",
  "UDP from outside by IPv6": "2001:db8::2",
  "TCP from the host by 127.0.0.1": "10.0.2.2",
  "UDP from the host by 127.0.0.1": "10.0.2.2",
  "TCP from the host by its address": "192.168.77.2",
  "UDP from the host by its address": "192.168.77.2",
};

const WAYS_OUT = { TCP4: "192.168.77.2", TCP6: "2001:db8::1", UDP4: "192.168.77.2", UDP6: "2001:db8::1" };
const ONLY_4 = { ...WAYS_OUT, TCP6: "unreachable", UDP6: "unreachable" };

describe("the way out: the host's addresses are seen outside", () => {
  for (const [network, ways] of [
    ["slirp4netns", WAYS_OUT],
    ["slirp4netns:enable_ipv6=false", ONLY_4],
    ["slirp4netns:mtu=1500", WAYS_OUT],
    ["four", ONLY_4],
    ["host", WAYS_OUT],
  ] as const)
    test(network, async () => {
      for (const engine of ENGINES) expect(await outgoing(pair(), engine, network)).toEqual({ ...ways });
    });

  test("a network of both families; podman's has no way out by IPv6", async () => {
    expect(await outgoing(pair(), "portolan", "both")).toEqual(WAYS_OUT);
    expect(await outgoing(pair(), "podman", "both")).toMatchObject({
      TCP4: "192.168.77.2",
      TCP6: "unreachable",
    });
  });
});

describe("the way in: the caller's address is kept", () => {
  test("slirp4netns; podman's forwarder shows the container its own address", async () => {
    expect(await incoming(pair(), "portolan", "slirp4netns")).toEqual(KEPT);
    expect(await incoming(pair(), "podman", "slirp4netns")).toEqual(everywhere("10.0.2.100"));
  });

  test("slirp4netns:port_handler=slirp4netns; podman's has no IPv6, and no UDP by the loopback address", async () => {
    const network = "slirp4netns:port_handler=slirp4netns";
    expect(await incoming(pair(), "portolan", network)).toEqual(KEPT);
    expect(await incoming(pair(), "podman", network)).toMatchObject({
      "TCP from outside by IPv4": "192.168.77.1",
      "UDP from outside by IPv4": "192.168.77.1",
      "TCP from outside by IPv6": "refused",
      "UDP from outside by IPv6": "refused",
      "TCP from the host by 127.0.0.1": "10.0.2.2",
    });
  });

  test("a network of both families; podman's forwarder shows the container its own address", async () => {
    expect(await incoming(pair(), "portolan", "both")).toEqual(KEPT);
    expect(await incoming(pair(), "podman", "both")).toEqual(everywhere("10.77.0.2"));
  });

  test("a network of IPv4 alone: callers by IPv6 are the gateway", async () => {
    expect(await incoming(pair(), "portolan", "four")).toEqual({
      ...KEPT,
      "TCP from outside by IPv6": "10.0.2.2",
      "UDP from outside by IPv6": "10.0.2.2",
    });
  });
});
