/** tuning, bandwidth, sbr. */
import { ALL_VERSIONS, type Case, LIFE } from "../case.ts";
import { after, BRIDGE, PTP, RESULT, refusedOf, V4 } from "./parts.ts";

const tuning = after("tuning");
const TUNING: Case[] = [
  {
    ...tuning("every field", {
      sysctl: { "net.core.somaxconn": "500", "net.ipv4.conf.eth0.log_martians": "1" },
      mtu: 1400,
      mac: "02:11:22:33:44:55",
      promisc: true,
      allmulti: true,
    }),
    versions: ALL_VERSIONS,
  },
  tuning("no field", {}),
  tuning("a sysctl of the interface", {
    sysctl: { "net.ipv4.conf.IFNAME.log_martians": "1", "net/ipv6/conf/IFNAME/accept_ra": "0" },
  }),
  tuning("MTU", { mtu: 1300 }),
  tuning("promiscuous", { promisc: true }),
  tuning("all multicast", { allmulti: true }),
  tuning("length of the queue", { txQLen: 77 }),
  tuning("its own directory", { mtu: 1300, dataDir: "/run/tuned" }),
  tuning("MAC of the runtime", { mac: "02:11:22:33:44:66", runtimeConfig: { mac: "02:11:22:33:44:77" } }),
  tuning("MAC in args", { args: { cni: { mac: "02:11:22:33:44:78" } } }),
  tuning("MAC in CNI_ARGS", {}, [
    { do: "ADD", args: "MAC=02:11:22:33:44:79;IgnoreUnknown=1" },
    "LOOK",
    "DEL",
    "LOOK",
  ]),
  tuning("DEL alone puts back what was", { mtu: 1300, mac: "02:11:22:33:44:55", promisc: true }, [
    "ADD",
    {
      call: "tuning",
      env: { CNI_COMMAND: "DEL" },
      stdin: {
        cniVersion: "1.0.0",
        name: "net",
        type: "tuning",
        mtu: 1300,
        mac: "02:11:22:33:44:55",
        promisc: true,
      },
    },
    "LOOK",
    {
      call: "tuning",
      env: { CNI_COMMAND: "DEL" },
      stdin: {
        cniVersion: "1.0.0",
        name: "net",
        type: "tuning",
        mtu: 1300,
        mac: "02:11:22:33:44:55",
        promisc: true,
      },
    },
    "LOOK",
  ]),
  tuning("DEL without a namespace", { mtu: 1300 }, ["ADD", { do: "DEL", netns: "" }, "LOOK"]),
  tuning(
    "CHECK of what has changed",
    {
      sysctl: { "net.ipv4.conf.eth0.log_martians": "1" },
      mtu: 1400,
      mac: "02:11:22:33:44:55",
      promisc: true,
      allmulti: true,
    },
    [
      "ADD",
      { sh: "ip -n c link set eth0 mtu 1300" },
      "CHECK",
      { sh: "ip -n c link set eth0 mtu 1400 && ip -n c link set eth0 promisc off" },
      "CHECK",
      { sh: "ip -n c link set eth0 promisc on && ip -n c link set eth0 allmulti off" },
      "CHECK",
      {
        sh: "ip -n c link set eth0 allmulti on && ip netns exec c sh -c 'echo 0 >/proc/sys/net/ipv4/conf/eth0/log_martians'",
      },
      "CHECK",
    ],
  ),
  {
    name: "tuning: an allowlist",
    before:
      "mkdir -p /etc/cni/tuning && printf '^net\\\\.core\\\\.somaxconn$\\n' >/etc/cni/tuning/allowlist.conf",
    plugins: [BRIDGE, { type: "tuning" }],
    steps: [
      "ADD",
      ...refusedOf("tuning", [
        { sysctl: { "net.core.somaxconn": "600" } },
        { sysctl: { "net.ipv4.ip_forward": "1" } },
      ]),
    ],
  },
  {
    name: "tuning: alone",
    before: "ip -n c link add eth0 type veth peer name eth0p",
    steps: [
      ...refusedOf("tuning", [
        { sysctl: { "kernel.hostname": "x" } },
        { sysctl: { "net.frob": "1" } },
        { sysctl: { "net.ipv4.ip_forward": "text" } },
        { sysctl: { "net/../../kernel/hostname": "x" } },
        { sysctl: "text" },
        { sysctl: { "net.core.somaxconn": 7 } },
        { mtu: "1300" },
        { mtu: 10 },
        { mac: "text" },
        { mac: 7 },
        { promisc: "yes" },
        { runtimeConfig: { mac: "text" } },
      ]),
      ...refusedOf("tuning", [{}, { mtu: 1300 }], null),
      {
        call: "tuning",
        env: { CNI_IFNAME: "nobody" },
        stdin: { cniVersion: "1.0.0", name: "net", type: "tuning", mtu: 1300, prevResult: RESULT },
      },
      {
        call: "tuning",
        env: { CNI_NETNS: "/run/netns/gone" },
        stdin: { cniVersion: "1.0.0", name: "net", type: "tuning", mtu: 1300, prevResult: RESULT },
      },
      {
        call: "tuning",
        env: { CNI_NETNS: "/run/netns/gone", CNI_COMMAND: "DEL" },
        stdin: { cniVersion: "1.0.0", name: "net", type: "tuning", mtu: 1300 },
      },
      "LOOK",
    ],
  },
];

const bandwidth = after("bandwidth");
const RATES = { ingressRate: 1_000_000, ingressBurst: 200_000, egressRate: 2_000_000, egressBurst: 400_000 };
const BANDWIDTH: Case[] = [
  { ...bandwidth("both ways", RATES), versions: ["0.3.1", "0.4.0", "1.0.0"] },
  bandwidth("in alone", { ingressRate: 1_000_000, ingressBurst: 200_000 }),
  bandwidth("out alone", { egressRate: 2_000_000, egressBurst: 400_000 }),
  bandwidth("of the runtime", { ingressRate: 5, ingressBurst: 5, runtimeConfig: { bandwidth: RATES } }),
  bandwidth("fast and with a large burst", {
    ingressRate: 10_000_000_000,
    ingressBurst: 2_000_000_000,
    egressRate: 10_000_000_000,
    egressBurst: 2_000_000_000,
  }),
  bandwidth("none", {}),
  bandwidth("none of the runtime", { runtimeConfig: { bandwidth: {} } }),
  bandwidth("after ptp", RATES, LIFE, PTP),
  bandwidth("DEL without a namespace", RATES, ["ADD", { do: "DEL", netns: "" }, "LOOK"]),
  bandwidth("CHECK of what has changed", RATES, [
    "ADD",
    { do: "CHECK", conf: { ingressRate: 9_000_000 } },
    { sh: "tc qdisc del dev $(ls /sys/class/net | grep veth) root" },
    "CHECK",
    { sh: "ip link del $(ls /sys/class/net | grep bwp)" },
    "CHECK",
  ]),
  {
    name: "bandwidth: alone",
    steps: [
      ...refusedOf("bandwidth", [
        { ingressRate: -1 },
        { ingressRate: "fast" },
        { ingressRate: 1_000_000 },
        { ingressBurst: 1_000_000 },
        { egressRate: 1_000_000 },
        { egressBurst: 1_000_000 },
        { ingressRate: 1_000_000, ingressBurst: 40_000_000_000 },
        RATES,
        { runtimeConfig: { bandwidth: "text" } },
      ]),
      ...refusedOf("bandwidth", [RATES, {}], null),
      ...refusedOf("bandwidth", [RATES], { cniVersion: "1.0.0", interfaces: [], ips: [] }),
      {
        call: "bandwidth",
        env: { CNI_COMMAND: "DEL", CNI_NETNS: "" },
        stdin: { cniVersion: "1.0.0", name: "net", type: "bandwidth", ...RATES },
      },
      {
        call: "bandwidth",
        env: { CNI_COMMAND: "DEL" },
        stdin: { cniVersion: "1.0.0", name: "net", type: "bandwidth", ...RATES, prevResult: RESULT },
      },
      "LOOK",
    ],
  },
];

const sbr = after("sbr");
const SBR: Case[] = [
  { ...sbr("dual stack, after the bridge", {}), versions: ALL_VERSIONS },
  sbr("IPv4 with routes of its own", {}, LIFE, {
    ...BRIDGE,
    ipam: { ...V4, routes: [{ dst: "0.0.0.0/0" }, { dst: "10.5.0.0/16", gw: "10.77.0.9" }] },
  }),
  sbr("after ptp", {}, LIFE, PTP),
  sbr("two interfaces", {}, [
    "ADD",
    { do: "ADD", ifName: "eth1" },
    "LOOK",
    { do: "DEL", ifName: "eth1" },
    "LOOK",
    "DEL",
    "LOOK",
  ]),
  sbr("the first table is taken", {}, ["ADD", "LOOK", "DEL"]),
  sbr("DEL without a namespace", {}, ["ADD", { do: "DEL", netns: "" }, "LOOK"]),
  {
    name: "sbr: alone",
    before: "ip -n c link add eth0 type veth peer name eth0p",
    steps: [
      ...refusedOf("sbr", [{}, { table: 200 }]),
      ...refusedOf("sbr", [{}], null),
      ...refusedOf("sbr", [{}], { cniVersion: "1.0.0", interfaces: [], ips: [] }),
      { call: "sbr", env: { CNI_COMMAND: "DEL" } },
      { call: "sbr", env: { CNI_COMMAND: "DEL", CNI_NETNS: "/run/netns/gone" } },
      { call: "sbr", env: { CNI_COMMAND: "DEL", CNI_IFNAME: "nobody" } },
      "LOOK",
    ],
  },
];

export const SETTINGS: Case[] = [...TUNING, ...BANDWIDTH, ...SBR];
