/**
 * `--network pasta`, which our own stack serves, side by side with podman 5.4 and pasta itself, on a Debian 13: addresses,
 * routes, MTU, the files that tell of hosts and name servers, ports on the host, transfers, and whose address a server sees.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Outside } from "../support/outside.ts";
import { openPairs, pairs, refused } from "./pairs.ts";
import { incoming, outgoing } from "./traffic.ts";
import { ENGINES } from "./world.ts";

const callers = openPairs(["user of Debian 13"], "probe");
const pair = () => callers[0]!.pair();
let outside: Outside;
beforeAll(async () => {
  outside = await Outside.open(pair().host);
});
afterAll(() => outside?.[Symbol.dispose]());
const table = (...cases: Parameters<typeof pairs>[1]) => pairs(callers, cases, { inTurn: true });

/**
 * Left out: addresses that the kernel gives, a second and weaker route to the own network, and in /etc/hosts Docker's name for
 * the host and the container's own IPv6 address, each of which one of the two has.
 */
const LOOK = `sh -c 'ip -br address | grep -v "^lo" | sed "s/ *fe80.*//" | tr -s " "
grep . /sys/class/net/*/mtu
ip route | grep -v "scope link $"; ip -6 route | grep -v ^fe80
sed "s/ host.docker.internal//; /2001:db8::1/d" /etc/hosts
cat /etc/resolv.conf'`;

const run = (options: string) =>
  `engine run --rm --name one --hostname box --network pasta${options} probe ${LOOK}`;

table(
  ...[
    "",
    ":--ipv4-only",
    ":-m,1400",
    ":-I,foo0",
    ":-a,10.9.0.5,-n,24,-g,10.9.0.1",
    ":--dns-forward,10.9.0.3",
    ":-i,eth0",
    ":--map-gw",
  ].map(run),
  {
    script: run(":-6"),
    differs: {
      why: "where there is no IPv4 the host has a name by IPv6, and so has the name server",
      podman: /^exit 0\neth0 UNKNOWN 2001:db8::1\/64\n[\s\S]*\n192\.168\.77\.2\thost\.containers\.internal/,
      portolan:
        /^exit 0\neth0 UNKNOWN 2001:db8::1\/64\n[\s\S]*::2\thost\.containers\.internal[\s\S]*\nnameserver fd/,
    },
  },
  "engine run --rm --network pasta probe getent hosts www.example",
  `engine run --rm --dns 9.9.9.9 --dns-search example.com --add-host x:1.2.3.4 --name one --hostname box --network pasta probe ${LOOK}`,
);

/** Protocols and ports that somebody listens at on the host. */
const OPEN = `ss -Hlntu | awk '{ n = split($5, part, ":"); print $1, part[n] }' | sort -u`;
/** The same at the end: podman's pasta goes a moment later than its container. */
const CLOSED = `for try in $(seq 50); do [ -z "$(ss -Hlntu)" ] && break; sleep 0.1; done; ${OPEN}`;
/** A page on the host's loopback address alone. */
const SERVE =
  "echo the host >page; busybox httpd -f -p 127.0.0.1:7002 & server=$!; until ss -Hlnt | grep -q :7002; do sleep 0.02; done";
const ask = (address: string) =>
  `probe curl -s --connect-timeout 3 http://${address}:7002/page; [ $? = 0 ] || echo no; kill $server`;

table(
  `engine run -d --name one --network pasta:-t,8085,-u,8086 -p 8080:80 -p 9090:90/udp probe sleep 1000; ${OPEN}; engine port one 80; engine inspect -f '{{json .NetworkSettings.Networks}} {{.HostConfig.NetworkMode}} {{.NetworkSettings.IPAddress}}' one; engine rm -f -t 0 one; ${CLOSED}`,
  `engine run -d --name one --network pasta:-t,8085-8087 probe sleep 1000; ${OPEN}; engine rm -f -t 0 one`,
  `engine run -d --name one --network pasta:-t,8085:80 probe sleep 1000; ${OPEN}; engine rm -f -t 0 one`,
  `${SERVE}; engine run --rm --network pasta ${ask("192.168.77.1")}`,
  `${SERVE}; engine run --rm --network pasta:--map-gw ${ask("192.168.77.1")}`,
  `${SERVE}; engine run --rm --network pasta:--map-host-loopback,11.11.11.11 ${ask("11.11.11.11")}`,
  refused(
    "engine run --rm --network pasta:--bogus probe true",
    /option '--bogus'|option "--bogus" is not supported/,
  ),
);

test("the way out: the host's addresses are seen outside", async () => {
  for (const engine of ENGINES)
    expect(await outgoing(pair(), engine, "pasta")).toEqual({
      TCP4: "192.168.77.2",
      TCP6: "2001:db8::1",
      UDP4: "192.168.77.2",
      UDP6: "2001:db8::1",
    });
});

test("the way in: the caller's address is kept, as by pasta", async () => {
  const kept = {
    "TCP from outside by IPv4": "192.168.77.1",
    "UDP from outside by IPv4": "192.168.77.1",
    "TCP from outside by IPv6": "2001:db8::2",
    "UDP from outside by IPv6": "2001:db8::2",
    "TCP from the host by its address": "169.254.1.2",
    "UDP from the host by its address": "169.254.1.2",
  };
  // Who calls the loopback address comes from the address that means the host; pasta shows the container its own.
  const loopback = (address: string) => ({
    "TCP from the host by 127.0.0.1": address,
    "UDP from the host by 127.0.0.1": address,
  });
  expect(await incoming(pair(), "portolan", "pasta")).toEqual({ ...kept, ...loopback("169.254.1.2") });
  expect(await incoming(pair(), "podman", "pasta")).toEqual({ ...kept, ...loopback("192.168.77.2") });
});
