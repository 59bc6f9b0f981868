/** ptp, macvlan, host-device, loopback. */
import { ALL_VERSIONS, type Case, LIFE, refused, type Step } from "../case.ts";
import { DUAL, EMPTY, IPTABLES, NFTABLES, V4, V6 } from "./parts.ts";

/** A parent for macvlan. */
const PARENT = "ip link add up0 type veth peer name down0 && ip link set up0 up && ip link set down0 up";

const ptp = (name: string, more: object, steps: readonly Step[] = LIFE, before?: string): Case => ({
  name: `ptp: ${name}`,
  plugins: [{ type: "ptp", ...more }],
  steps,
  ...(before ? { before } : {}),
});

const WIRES: Case[] = [
  { ...ptp("dual stack, masquerade", { ...IPTABLES, ipam: DUAL }), versions: ALL_VERSIONS },
  ptp("IPv4", { ipam: V4 }),
  ptp("IPv6", { ipam: V6 }),
  ptp("MTU, name servers", { mtu: 1400, ipam: V4, dns: { nameservers: ["192.0.2.53"] } }),
  ptp("masquerade by nftables", { ...NFTABLES, ipam: DUAL }),
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
  macvlan("no IPAM", {}),
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
  device("no IPAM", { device: "dev0" }),
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

/** Kinds of interfaces that not every kernel has. */
const OTHERS: Case[] = [
  { type: "tap" },
  { type: "tap", mtu: 1400, ipam: V4 },
  { type: "dummy", ipam: V4 },
  { type: "ipvlan", master: "up0", ipam: V4 },
  { type: "vlan", master: "up0", vlanId: 5, ipam: V4 },
].map(plugin => ({
  name: `${plugin.type}: ${JSON.stringify(plugin)}`,
  before: PARENT,
  plugins: [plugin],
  steps: LIFE,
}));

export const LINKS: Case[] = [...WIRES, ...MACVLAN, ...DEVICE, ...LOOPBACK, ...OTHERS];
