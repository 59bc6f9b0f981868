/** Plugins that go on from another's result: portmap, firewall, tuning, bandwidth, sbr. */
import { ALL_VERSIONS, type Case, LIFE, refused, type Step } from "../case.ts";

const DUAL = {
  type: "host-local",
  ranges: [[{ subnet: "10.77.0.0/24" }], [{ subnet: "fd77::/64" }]],
  routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
};
const V4 = { ...DUAL, ranges: [[{ subnet: "10.77.0.0/24" }]], routes: [{ dst: "0.0.0.0/0" }] };
const BRIDGE = { type: "bridge", bridge: "br0", isGateway: true, ipam: DUAL };
const PTP = { type: "ptp", ipam: DUAL };
const port = (hostPort: number, containerPort: number, protocol = "tcp", hostIP?: string) => ({
  hostPort,
  containerPort,
  protocol,
  hostIP,
});

/** A result of a plugin before, for those that are called alone. */
const RESULT = {
  cniVersion: "1.0.0",
  interfaces: [
    { name: "br0", mac: "02:00:00:00:00:01" },
    { name: "veth0", mac: "02:00:00:00:00:02" },
    { name: "eth0", mac: "02:00:00:00:00:03", sandbox: "/run/netns/c" },
  ],
  ips: [
    { interface: 2, address: "10.77.0.2/24", gateway: "10.77.0.1" },
    { interface: 2, address: "fd77::2/64", gateway: "fd77::1" },
  ],
  routes: [{ dst: "0.0.0.0/0" }],
  dns: {},
};
/** The result is that of the interface that is called for. */
const refusedOf = (type: string, list: object[], result: typeof RESULT | object | null = RESULT): Step[] =>
  refused(type, list, result ? { prevResult: result } : {}).map(call =>
    result === null ? call : { ...call, env: { ...call.env, CNI_IFNAME: "eth0" } },
  );

const after =
  (type: string) =>
  (name: string, more: object, steps: readonly Step[] = LIFE, first: object = BRIDGE): Case => ({
    name: `${type}: ${name}`,
    plugins: [first, { type, ...more }],
    steps,
  });

const portmap = after("portmap");
const published = (...portMappings: object[]) => ({ backend: "iptables", runtimeConfig: { portMappings } });

const PORTMAP: Case[] = [
  { ...portmap("TCP, dual stack", published(port(8080, 80))), versions: ["0.3.1", "0.4.0", "1.0.0"] },
  portmap(
    "TCP, UDP, a host address of each family",
    published(
      port(8080, 80),
      port(53, 5353, "udp"),
      port(8081, 81, "tcp", "127.0.0.2"),
      port(8082, 82, "tcp", "fd00::1"),
    ),
  ),
  portmap("IPv4", published(port(8080, 80)), LIFE, { ...BRIDGE, ipam: V4 }),
  portmap(
    "any address, written out",
    published(port(8080, 80, "tcp", "0.0.0.0"), port(8081, 80, "udp", "::")),
  ),
  portmap("nothing to publish", { backend: "iptables" }),
  portmap("no source NAT", { ...published(port(8080, 80)), snat: false }),
  portmap("another mark", { ...published(port(8080, 80)), markMasqBit: 5 }),
  portmap("a mark set by somebody else", {
    ...published(port(8080, 80)),
    externalSetMarkChain: "OTHER-MARK",
  }),
  portmap("conditions", {
    ...published(port(8080, 80)),
    conditionsV4: ["-s", "192.0.2.0/24"],
    conditionsV6: ["!", "-s", "fd00::/8"],
  }),
  portmap(
    "more than fifteen ports",
    published(...Array.from({ length: 20 }, (_, n) => port(9000 + n, 80 + n))),
  ),
  portmap("after ptp", published(port(8080, 80)), LIFE, PTP),
  portmap("two containers", published(port(8080, 80)), [
    "ADD",
    { do: "ADD", id: "c2", ifName: "eth1" },
    "LOOK",
    { do: "DEL", id: "c2", ifName: "eth1" },
    "LOOK",
    "DEL",
    "LOOK",
  ]),
  portmap("CHECK of rules that are gone", published(port(8080, 80)), [
    "ADD",
    { sh: "iptables -t nat -F; ip6tables -t nat -F" },
    "CHECK",
    "DEL",
    "LOOK",
  ]),
  {
    name: "portmap: alone",
    steps: [
      ...refusedOf("portmap", [
        { runtimeConfig: { portMappings: "text" } },
        { runtimeConfig: { portMappings: [port(0, 80)] } },
        { runtimeConfig: { portMappings: [port(70000, 80)] } },
        { runtimeConfig: { portMappings: [port(8080, 0)] } },
        { runtimeConfig: { portMappings: [port(8080, -1)] } },
        { runtimeConfig: { portMappings: [port(8080, 80, "frob")] } },
        { runtimeConfig: { portMappings: [port(8080, 80, "tcp", "text")] } },
        { runtimeConfig: { portMappings: [{ hostPort: "8080" }] } },
        { markMasqBit: 40 },
        { markMasqBit: -1 },
        { markMasqBit: 5, externalSetMarkChain: "X" },
        { markMasqBit: "5" },
        { snat: "yes" },
        { conditionsV4: "text" },
      ]),
      ...refusedOf("portmap", [{}, published(port(8080, 80))], null),
      ...refusedOf("portmap", [published(port(8080, 80))], { cniVersion: "1.0.0", interfaces: [], ips: [] }),
      {
        call: "portmap",
        env: { CNI_COMMAND: "DEL", CNI_NETNS: "" },
        stdin: { cniVersion: "1.0.0", name: "net", type: "portmap", ...published(port(8080, 80)) },
      },
      {
        call: "portmap",
        env: { CNI_COMMAND: "DEL" },
        stdin: { cniVersion: "1.0.0", name: "net", type: "portmap" },
      },
      "LOOK",
    ],
  },
];

const firewall = after("firewall");
const FIREWALL: Case[] = [
  { ...firewall("dual stack", { backend: "iptables" }), versions: ["0.4.0", "1.0.0"] },
  firewall("another chain for the administrator", {
    backend: "iptables",
    iptablesAdminChainName: "MY-ADMIN",
  }),
  firewall("ingress open", { backend: "iptables", ingressPolicy: "open" }),
  firewall("ingress from the same bridge", { backend: "iptables", ingressPolicy: "same-bridge" }),
  firewall("after ptp", { backend: "iptables" }, LIFE, PTP),
  firewall("two containers", { backend: "iptables" }, [
    "ADD",
    { do: "ADD", id: "c2", ifName: "eth1" },
    "LOOK",
    { do: "DEL", id: "c2", ifName: "eth1" },
    "LOOK",
    "DEL",
    "LOOK",
  ]),
  firewall("CHECK of rules that are gone", { backend: "iptables" }, [
    "ADD",
    { sh: "iptables -F; ip6tables -F" },
    "CHECK",
    "DEL",
    "LOOK",
  ]),
  firewall("DEL without a namespace", { backend: "iptables" }, ["ADD", { do: "DEL", netns: "" }, "LOOK"]),
  {
    name: "firewall: alone",
    steps: [
      ...refusedOf("firewall", [
        { backend: "frob" },
        { backend: "firewalld" },
        { backend: 7 },
        { ingressPolicy: "frob" },
        { ingressPolicy: 7 },
        { iptablesAdminChainName: 7 },
        { firewalldZone: 7 },
      ]),
      ...refusedOf("firewall", [{ backend: "iptables" }], null),
      {
        call: "firewall",
        env: { CNI_COMMAND: "DEL", CNI_NETNS: "" },
        stdin: { cniVersion: "1.0.0", name: "net", type: "firewall", backend: "iptables" },
      },
      {
        call: "firewall",
        env: { CNI_COMMAND: "DEL", CNI_NETNS: "" },
        stdin: {
          cniVersion: "1.0.0",
          name: "net",
          type: "firewall",
          backend: "iptables",
          prevResult: RESULT,
        },
      },
      "LOOK",
    ],
  },
];

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

const ALL = [
  { ...BRIDGE, ipMasq: true, ipMasqBackend: "iptables", hairpinMode: true },
  { type: "portmap", ...published(port(8080, 80), port(8080, 80, "udp")) },
  { type: "firewall", backend: "iptables" },
  { type: "tuning", mtu: 1400, sysctl: { "net.core.somaxconn": "500" } },
];
const WHOLE: Case[] = [
  { name: "chain: bridge, portmap, firewall, tuning", versions: ["0.4.0", "1.0.0"], plugins: ALL },
  { name: "chain: and bandwidth, sbr", plugins: [...ALL, { type: "bandwidth", ...RATES }, { type: "sbr" }] },
  { name: "chain: DEL without a namespace", plugins: ALL, steps: ["ADD", { do: "DEL", netns: "" }, "LOOK"] },
];

export const CHAINED: Case[] = [...PORTMAP, ...FIREWALL, ...TUNING, ...BANDWIDTH, ...SBR, ...WHOLE];
