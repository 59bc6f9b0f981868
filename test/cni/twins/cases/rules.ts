/** portmap, firewall, and whole chains. */
import { type Case, LIFE } from "../case.ts";
import { after, BRIDGE, PTP, port, RESULT, refusedOf, V4 } from "./parts.ts";

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

/** The same in nftables, as the newest keep them. */
const nft = (...portMappings: object[]) => ({ backend: "nftables", runtimeConfig: { portMappings } });
const NFT: Case[] = [
  portmap("nftables, dual stack", nft(port(8080, 80), port(53, 5353, "udp"))),
  portmap(
    "nftables, host addresses",
    nft(
      port(8080, 80, "tcp", "127.0.0.2"),
      port(8081, 81, "tcp", "fd00::1"),
      port(8082, 82, "tcp", "0.0.0.0"),
    ),
  ),
  portmap("nftables, no source NAT", { ...nft(port(8080, 80)), snat: false }),
  portmap(
    "nftables, IPv4, conditions",
    { ...nft(port(8080, 80)), conditionsV4: ["ip", "saddr", "192.0.2.0/24"] },
    LIFE,
    { ...BRIDGE, ipam: V4 },
  ),
  portmap("nftables, rules are gone", nft(port(8080, 80)), [
    "ADD",
    { sh: "nft flush ruleset" },
    "CHECK",
    "DEL",
    "LOOK",
  ]),
  portmap("nftables, two containers", nft(port(8080, 80)), [
    "ADD",
    { do: "ADD", id: "c2", ifName: "eth1" },
    "LOOK",
    { do: "DEL", id: "c2", ifName: "eth1" },
    "LOOK",
    "DEL",
    "LOOK",
  ]),
];

const RATES = { ingressRate: 1_000_000, ingressBurst: 200_000, egressRate: 2_000_000, egressBurst: 400_000 };
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

export const RULES: Case[] = [...PORTMAP, ...NFT, ...FIREWALL, ...WHOLE];
