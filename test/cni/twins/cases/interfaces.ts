/** Plugins that give a container its interface: bridge, ptp, macvlan, host-device, loopback. */
import { ALL_VERSIONS, type Case, LIFE, refused, type Step, type Verb } from "../case.ts";

const ROUTES = [{ dst: "0.0.0.0/0" }, { dst: "::/0" }];
const V4 = { type: "host-local", ranges: [[{ subnet: "10.77.0.0/24" }]], routes: [{ dst: "0.0.0.0/0" }] };
const V6 = { type: "host-local", ranges: [[{ subnet: "fd77::/64" }]], routes: [{ dst: "::/0" }] };
const DUAL = {
  type: "host-local",
  ranges: [[{ subnet: "10.77.0.0/24" }], [{ subnet: "fd77::/64" }]],
  routes: ROUTES,
};
/** A parent for macvlan, and a device for host-device. */
const PARENT = "ip link add up0 type veth peer name down0 && ip link set up0 up && ip link set down0 up";
/** The firewall in the way that the Go plugins here know; the other ways are compared by tests of their own. */
const IPTABLES = { ipMasq: true, ipMasqBackend: "iptables" };
const EMPTY: Verb[] = [
  { do: "DEL", netns: "" },
  { do: "DEL", netns: "/run/netns/gone" },
];

const bridge = (name: string, more: object, steps: readonly Step[] = LIFE, before?: string): Case => ({
  name: `bridge: ${name}`,
  plugins: [{ type: "bridge", bridge: "br0", ...more }],
  steps,
  ...(before ? { before } : {}),
});

const BRIDGE: Case[] = [
  {
    ...bridge("dual stack, gateway, masquerade", { isGateway: true, ...IPTABLES, ipam: DUAL }),
    versions: ALL_VERSIONS,
  },
  {
    ...bridge("IPv4", { isDefaultGateway: true, ipam: { ...V4, routes: undefined } }),
    versions: ALL_VERSIONS,
  },
  {
    ...bridge("IPv6", { isDefaultGateway: true, ...IPTABLES, ipam: { ...V6, routes: undefined } }),
    versions: ALL_VERSIONS,
  },
  { ...bridge("no IPAM", {}), versions: ALL_VERSIONS },
  bridge("no gateway, no routes", { ipam: { ...DUAL, routes: undefined } }),
  bridge("the bridge's own name", { bridge: undefined, isGateway: true, ipam: V4 }),
  bridge("MTU, hairpin", { mtu: 1400, hairpinMode: true, isGateway: true, ipam: V4 }),
  bridge("promiscuous", { promiscMode: true, isGateway: true, ipam: V4 }),
  bridge("hairpin and promiscuous", { promiscMode: true, hairpinMode: true, isGateway: true, ipam: V4 }),
  bridge("MAC of the runtime", { isGateway: true, ipam: V4, runtimeConfig: { mac: "02:11:22:33:44:55" } }),
  bridge("MAC in args", { ipam: V4, args: { cni: { mac: "02:11:22:33:44:66" } } }),
  bridge("MAC in CNI_ARGS", { ipam: V4 }, [
    { do: "ADD", args: "IgnoreUnknown=1;K8S_POD_NAME=x;MAC=02:11:22:33:44:77" },
    "LOOK",
    "CHECK",
    "DEL",
  ]),
  bridge("MACs that are none", { ipam: V4 }, [
    { do: "ADD", args: "MAC=text" },
    { do: "ADD", conf: { runtimeConfig: { mac: "text" } } },
    { do: "ADD", conf: { args: { cni: { mac: "text" } } } },
    { do: "ADD", args: "FROB=1" },
    "LOOK",
  ]),
  bridge("name servers of the configuration", {
    ipam: V4,
    dns: { nameservers: ["192.0.2.53"], search: ["example.com"] },
  }),
  bridge("routes with gateways", {
    isGateway: true,
    ipam: {
      ...DUAL,
      routes: [...ROUTES, { dst: "10.5.0.0/16", gw: "10.77.0.9" }, { dst: "fd99::/48", gw: "fd77::9" }],
    },
  }),
  bridge("two containers, two interfaces of one", { isGateway: true, ...IPTABLES, ipam: V4 }, [
    "ADD",
    { do: "ADD", ifName: "eth1" },
    { do: "ADD", id: "c2", ifName: "eth2" },
    "LOOK",
    { do: "DEL", ifName: "eth1" },
    { do: "DEL", id: "c2", ifName: "eth2" },
    "LOOK",
  ]),
  bridge("the same ADD twice", { isGateway: true, ipam: V4 }, ["ADD", "ADD", "LOOK", "DEL", "LOOK"]),
  bridge(
    "the interface is there already",
    { isGateway: true, ipam: V4 },
    ["ADD", "LOOK", "DEL", "LOOK"],
    "ip -n c link add eth0 type veth peer name eth0p",
  ),
  bridge(
    "the bridge is there already",
    { isGateway: true, ipam: DUAL },
    LIFE,
    "ip link add br0 type bridge && ip link set br0 mtu 1300 && ip link set br0 address 02:00:00:00:00:09",
  ),
  bridge(
    "the bridge is no bridge",
    { isGateway: true, ipam: V4 },
    ["ADD", "LOOK", "DEL", "LOOK"],
    "ip link add br0 type veth peer name br0p",
  ),
  bridge(
    "the bridge has another address",
    { isGateway: true, ipam: V4 },
    ["ADD", "LOOK", "DEL", "LOOK"],
    "ip link add br0 type bridge && ip addr add 10.9.9.9/24 dev br0",
  ),
  bridge(
    "the bridge has another address, by force",
    { isGateway: true, forceAddress: true, ipam: V4 },
    LIFE,
    "ip link add br0 type bridge && ip addr add 10.9.9.9/24 dev br0",
  ),
  bridge(
    "the bridge has the address with another prefix",
    { isGateway: true, ipam: V4 },
    ["ADD", "LOOK", "DEL", "LOOK"],
    "ip link add br0 type bridge && ip addr add 10.77.0.1/16 dev br0",
  ),
  bridge(
    "IPv6 is switched off in the container",
    { isGateway: true, ipam: DUAL },
    LIFE,
    "ip netns exec c sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'",
  ),
  bridge("DEL without a namespace", { isGateway: true, ...IPTABLES, ipam: DUAL }, [
    "ADD",
    EMPTY[0]!,
    EMPTY[0]!,
    "LOOK",
  ]),
  bridge("DEL with a dead namespace", { isGateway: true, ipam: DUAL }, ["ADD", EMPTY[1]!, "LOOK"]),
  bridge("DEL without a result", { isGateway: true, ...IPTABLES, ipam: DUAL }, [
    "ADD",
    { do: "DEL", prevResult: "none" },
    "LOOK",
  ]),
  bridge("DEL of what never was", { isGateway: true, ...IPTABLES, ipam: DUAL }, ["DEL", ...EMPTY, "LOOK"]),
  bridge("CHECK of what has changed", { isGateway: true, ipam: DUAL }, [
    "CHECK",
    "ADD",
    { do: "CHECK", prevResult: "none" },
    { do: "CHECK", ifName: "eth1" },
    { do: "CHECK", id: "c2" },
    { do: "CHECK", netns: "/run/netns/gone" },
    { sh: "ip -n c route del default" },
    "CHECK",
    { sh: "ip -n c addr flush dev eth0 scope global" },
    "CHECK",
    { sh: "ip -n c link set eth0 down && ip -n c link set eth0 name eth5" },
    "CHECK",
    { sh: "ip link del br0" },
    "CHECK",
  ]),
  bridge("CHECK: off the bridge, another MAC", { isGateway: true, ipam: V4 }, [
    "ADD",
    { sh: "ip link set $(ls /sys/class/net | grep veth) nomaster" },
    "CHECK",
    { sh: "ip link set $(ls /sys/class/net | grep veth) master br0" },
    "CHECK",
    { sh: "ip -n c link set eth0 address 02:00:00:00:00:01" },
    "CHECK",
  ]),
  bridge("ADD into what is no namespace", { isGateway: true, ipam: V4 }, [
    { do: "ADD", netns: "/run/netns/gone" },
    { do: "ADD", netns: "/run/plugins" },
    { do: "ADD", netns: "/etc/hostname" },
    { do: "ADD", netns: "/proc/self/ns/net" },
    { do: "ADD", netns: "relative" },
    "LOOK",
  ]),
  {
    name: "bridge: configurations that are refused",
    steps: [
      ...refused("bridge", [
        { bridge: 7 },
        { mtu: "1400" },
        { mtu: -1 },
        { mtu: 10 },
        { mtu: 70000 },
        { bridge: "a-name-that-is-too-long" },
        { bridge: "a/b" },
        { isGateway: "yes" },
        { isGateway: true, ipam: { type: "frob" } },
        { isGateway: true, ipam: { type: "host-local" } },
        { isGateway: true, ipam: { type: "" } },
        { isGateway: true, ipam: { type: "static" } },
        { isGateway: true, ipam: { type: "../bridge" } },
        { ipam: "text" },
        { vlan: -1 },
        { vlan: 5000 },
        { vlan: 4095 },
      ]),
      "LOOK",
    ],
  },
  bridge("the pool is exhausted", { isGateway: true, ipam: { type: "host-local", subnet: "10.77.0.0/30" } }, [
    "ADD",
    { do: "ADD", id: "c2", ifName: "eth1" },
    "LOOK",
  ]),
  bridge("static addresses", {
    isGateway: true,
    ipam: {
      type: "static",
      addresses: [{ address: "10.77.0.5/24", gateway: "10.77.0.1" }, { address: "fd77::5/64" }],
      routes: ROUTES,
    },
  }),
];

const ptp = (name: string, more: object, steps: readonly Step[] = LIFE, before?: string): Case => ({
  name: `ptp: ${name}`,
  plugins: [{ type: "ptp", ...more }],
  steps,
  ...(before ? { before } : {}),
});

const PTP: Case[] = [
  { ...ptp("dual stack, masquerade", { ...IPTABLES, ipam: DUAL }), versions: ALL_VERSIONS },
  { ...ptp("IPv4", { ipam: V4 }), versions: ALL_VERSIONS },
  { ...ptp("IPv6", { ipam: V6 }), versions: ALL_VERSIONS },
  ptp("MTU, name servers", { mtu: 1400, ipam: V4, dns: { nameservers: ["192.0.2.53"] } }),
  ptp("no routes", { ipam: { ...DUAL, routes: undefined } }),
  ptp("two interfaces", { ipam: V4 }, [
    "ADD",
    { do: "ADD", ifName: "eth1" },
    "LOOK",
    { do: "DEL", ifName: "eth1" },
    "DEL",
    "LOOK",
  ]),
  ptp(
    "the interface is there already",
    { ipam: V4 },
    ["ADD", "LOOK", "DEL", "LOOK"],
    "ip -n c link add eth0 type veth peer name eth0p",
  ),
  ptp("DEL without a namespace", { ...IPTABLES, ipam: DUAL }, ["ADD", EMPTY[0]!, EMPTY[0]!, "LOOK"]),
  ptp("DEL with a dead namespace", { ipam: DUAL }, ["ADD", EMPTY[1]!, "LOOK"]),
  ptp("DEL of what never was", { ...IPTABLES, ipam: DUAL }, ["DEL", ...EMPTY, "LOOK"]),
  ptp("CHECK of what has changed", { ipam: DUAL }, [
    "CHECK",
    "ADD",
    { do: "CHECK", prevResult: "none" },
    { do: "CHECK", ifName: "eth1" },
    { do: "CHECK", netns: "/run/netns/gone" },
    { sh: "ip -n c route del default" },
    "CHECK",
    { sh: "ip -n c addr flush dev eth0 scope global" },
    "CHECK",
    { sh: "ip -n c link del eth0" },
    "CHECK",
  ]),
  {
    name: "ptp: configurations that are refused",
    steps: [
      ...refused("ptp", [
        {},
        { ipam: {} },
        { ipam: { type: "frob" } },
        { ipam: { type: "static" } },
        { mtu: "1400", ipam: V4 },
        { mtu: 10, ipam: V4 },
        { mtu: -5, ipam: V4 },
        { ipMasq: "yes", ipam: V4 },
      ]),
      "LOOK",
    ],
  },
  ptp("ADD into what is no namespace", { ipam: V4 }, [
    { do: "ADD", netns: "/run/netns/gone" },
    { do: "ADD", netns: "/run/plugins" },
    "LOOK",
  ]),
];

const macvlan = (name: string, more: object, steps: readonly Step[] = LIFE, before = ""): Case => ({
  name: `macvlan: ${name}`,
  before: `${PARENT}\n${before}`,
  plugins: [{ type: "macvlan", master: "up0", ...more }],
  steps,
});

const MACVLAN: Case[] = [
  { ...macvlan("dual stack", { ipam: DUAL }), versions: ALL_VERSIONS },
  { ...macvlan("no IPAM", {}), versions: ALL_VERSIONS },
  ...["bridge", "private", "vepa", "passthru"].map(mode => macvlan(`mode ${mode}`, { mode, ipam: V4 })),
  macvlan("MTU, MAC, name servers", {
    mtu: 1400,
    ipam: V4,
    dns: { nameservers: ["192.0.2.53"] },
    runtimeConfig: { mac: "02:11:22:33:44:55" },
  }),
  macvlan("MAC of the configuration", { ipam: V4, mac: "02:11:22:33:44:66" }),
  macvlan("MAC in args", { ipam: V4, args: { cni: { mac: "02:11:22:33:44:67" } } }),
  macvlan("MAC in CNI_ARGS", { ipam: V4 }, [
    { do: "ADD", args: "MAC=02:11:22:33:44:77" },
    "LOOK",
    "CHECK",
    "DEL",
  ]),
  macvlan(
    "the default route's interface",
    { master: undefined, ipam: V4 },
    LIFE,
    "ip addr add 192.0.2.1/24 dev up0 && ip route add default via 192.0.2.2",
  ),
  macvlan("no default route", { master: undefined, ipam: V4 }, ["ADD", "LOOK", "DEL", "LOOK"]),
  macvlan("the parent is gone", { ipam: V4 }, ["ADD", { sh: "ip link del up0" }, "CHECK", "DEL", "LOOK"]),
  macvlan(
    "the interface is there already",
    { ipam: V4 },
    ["ADD", "LOOK", "DEL", "LOOK"],
    "ip -n c link add eth0 type veth peer name eth0p",
  ),
  macvlan("DEL without a namespace", { ipam: DUAL }, [
    "ADD",
    EMPTY[0]!,
    EMPTY[0]!,
    { sh: "ls /var/lib/cni/networks/net" },
  ]),
  macvlan("DEL with a dead namespace", { ipam: DUAL }, [
    "ADD",
    EMPTY[1]!,
    { sh: "ls /var/lib/cni/networks/net" },
  ]),
  macvlan("DEL of what never was", { ipam: DUAL }, ["DEL", ...EMPTY, "LOOK"]),
  macvlan("CHECK of what has changed", { mode: "private", ipam: DUAL }, [
    "CHECK",
    "ADD",
    { do: "CHECK", prevResult: "none" },
    { do: "CHECK", conf: { mode: "vepa" } },
    { do: "CHECK", conf: { master: "down0" } },
    { do: "CHECK", conf: { mtu: 1234 } },
    { do: "CHECK", ifName: "eth1" },
    { do: "CHECK", netns: "/run/netns/gone" },
    { sh: "ip -n c route del default" },
    "CHECK",
    { sh: "ip -n c addr flush dev eth0 scope global" },
    "CHECK",
    { sh: "ip -n c link del eth0" },
    "CHECK",
  ]),
  {
    name: "macvlan: configurations that are refused",
    before: PARENT,
    steps: [
      ...refused("macvlan", [
        { master: "nobody" },
        { master: 7 },
        { master: "up0", mode: "frob" },
        { master: "up0", mode: 7 },
        { master: "up0", mtu: 9000 },
        { master: "up0", mtu: -1 },
        { master: "up0", mtu: "1400" },
        { master: "up0", mac: "text" },
        { master: "up0", runtimeConfig: { mac: "text" } },
        { master: "up0", ipam: { type: "frob" } },
        { master: "up0", ipam: { type: "host-local" } },
        { master: "up0", ipam: { type: "static" } },
      ]),
      {
        call: "macvlan",
        env: { CNI_NETNS: "/run/netns/gone" },
        stdin: { cniVersion: "1.0.0", name: "net", type: "macvlan", master: "up0" },
      },
      {
        call: "macvlan",
        env: { CNI_ARGS: "MAC=text" },
        stdin: { cniVersion: "1.0.0", name: "net", type: "macvlan", master: "up0" },
      },
      "LOOK",
    ],
  },
];

const device = (name: string, more: object, steps: readonly Step[] = LIFE, before = ""): Case => ({
  name: `host-device: ${name}`,
  before: `ip link add dev0 address 02:00:00:00:00:11 type veth peer name dev0p && ip link set dev0p up\n${before}`,
  plugins: [{ type: "host-device", ...more }],
  steps,
});

const DEVICE: Case[] = [
  { ...device("no IPAM", { device: "dev0" }), versions: ALL_VERSIONS },
  { ...device("dual stack", { device: "dev0", ipam: DUAL }), versions: ALL_VERSIONS },
  device("by hardware address", { hwaddr: "02:00:00:00:00:11", ipam: V4 }),
  device("by kernel path", { kernelpath: "/sys/devices/virtual/net/dev0", ipam: V4 }),
  device(
    "up, with addresses, an alias and an MTU of its own",
    { device: "dev0" },
    LIFE,
    "ip link set dev0 mtu 1300 && ip link set dev0 alias words && ip addr add 10.3.3.3/24 dev dev0 && ip link set dev0 up",
  ),
  device("name servers", { device: "dev0", ipam: V4, dns: { nameservers: ["192.0.2.53"] } }, ["ADD", "DEL"]),
  device("its name is taken on the host by then", { device: "dev0" }, [
    "ADD",
    { sh: "ip link add dev0 type veth peer name other" },
    "DEL",
    "LOOK",
  ]),
  device(
    "the interface is there already",
    { device: "dev0", ipam: V4 },
    ["ADD", "LOOK", "DEL", "LOOK"],
    "ip -n c link add eth0 type veth peer name eth0p",
  ),
  device(
    "the name of the device is taken in the container",
    { device: "dev0" },
    LIFE,
    "ip -n c link add dev0 type veth peer name dev0x",
  ),
  device("DEL without a namespace", { device: "dev0", ipam: DUAL }, ["ADD", EMPTY[0]!, "LOOK"]),
  device("DEL with a dead namespace", { device: "dev0", ipam: DUAL }, ["ADD", EMPTY[1]!, "LOOK"]),
  device("DEL of what never was", { device: "dev0", ipam: DUAL }, ["DEL", ...EMPTY, "LOOK"]),
  device("CHECK of what has changed", { device: "dev0", ipam: DUAL }, [
    "CHECK",
    "ADD",
    "CHECK",
    { do: "CHECK", prevResult: "none" },
    { do: "CHECK", ifName: "eth1" },
    { sh: "ip -n c route del default" },
    "CHECK",
    { sh: "ip -n c addr flush dev eth0 scope global" },
    "CHECK",
    { sh: "ip -n c link set eth0 down" },
    "CHECK",
  ]),
  {
    name: "host-device: configurations that are refused",
    before: "ip link add dev0 type veth peer name dev0p",
    steps: [
      ...refused("host-device", [
        {},
        { device: "" },
        { device: 7 },
        { device: "nobody" },
        { hwaddr: "text" },
        { hwaddr: "02:00:00:00:00:99" },
        { kernelpath: "/nowhere" },
        { kernelpath: "/sys/nowhere" },
        { pciBusID: "0000:99:99.9" },
        { pciBusID: "text" },
        { runtimeConfig: { deviceID: "0000:99:99.9" } },
        { device: "dev0", ipam: { type: "frob" } },
        { device: "dev0", ipam: { type: "host-local" } },
      ]),
      {
        call: "host-device",
        env: { CNI_NETNS: "/run/netns/gone" },
        stdin: { cniVersion: "1.0.0", name: "net", type: "host-device", device: "dev0" },
      },
      "LOOK",
    ],
  },
];

const LOOPBACK: Case[] = [
  {
    name: "loopback: up and down",
    versions: ALL_VERSIONS,
    plugins: [{ type: "loopback" }],
    steps: [
      { do: "ADD", ifName: "lo" },
      "LOOK",
      { do: "CHECK", ifName: "lo" },
      { do: "DEL", ifName: "lo" },
      "DEL",
      "LOOK",
    ],
  },
  {
    name: "loopback: by another name, after another plugin, without a namespace",
    plugins: [{ type: "loopback" }],
    steps: [
      "ADD",
      "CHECK",
      {
        do: "ADD",
        prevResult: "none",
        conf: { prevResult: { cniVersion: "1.0.0", ips: [{ address: "10.1.1.1/24" }] } },
      },
      { do: "ADD", netns: "/run/netns/gone" },
      { do: "CHECK", prevResult: "none" },
      { sh: "ip -n c link set lo down" },
      "CHECK",
      ...EMPTY,
      "LOOK",
    ],
  },
];

export const INTERFACES: Case[] = [...BRIDGE, ...PTP, ...MACVLAN, ...DEVICE, ...LOOPBACK];
