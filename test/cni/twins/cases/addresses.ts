/** host-local and static by themselves. */
import { ALL_VERSIONS, type Case, refused, type Step, type Verb } from "../case.ts";

const V4 = [{ subnet: "10.77.0.0/24" }];
const V6 = [{ subnet: "fd77::/64" }];

const add = (id: string, more: Partial<Verb> = {}): Verb => ({ do: "ADD", id, ...more });
const del = (id: string, more: Partial<Verb> = {}): Verb => ({ do: "DEL", id, ...more });
const chain = (ipam: object, more: object = {}) => [
  { type: "host-local", ...more, ipam: { type: "host-local", ...ipam } },
];
const statically = (ipam: object, more: object = {}) => [
  { type: "static", ...more, ipam: { type: "static", ...ipam } },
];

/** Configurations that are refused, each by an ADD of its own. */
const refusedOf = (type: string, list: object[]): Step[] =>
  refused(
    type,
    list.map(ipam => ({ ipam: { type, ...ipam } })),
    { type: "bridge" },
  );

export const ADDRESSES: Case[] = [
  {
    name: "host-local: one subnet, the older way",
    versions: ALL_VERSIONS,
    plugins: chain({
      subnet: "10.77.0.0/24",
      routes: [{ dst: "0.0.0.0/0" }, { dst: "10.5.0.0/16", gw: "10.77.0.9" }],
    }),
    steps: [
      "ADD",
      "LOOK",
      "CHECK",
      add("c2"),
      "ADD",
      add("c1", { ifName: "eth1" }),
      "DEL",
      "DEL",
      add("c3"),
      "LOOK",
    ],
  },
  {
    name: "host-local: dual stack",
    versions: ALL_VERSIONS,
    plugins: chain({
      ranges: [V4, V6],
      routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }, { dst: "fd99::/48", gw: "fd77::9" }],
    }),
    steps: ["ADD", "LOOK", "CHECK", "DEL", "DEL", "LOOK"],
  },
  {
    name: "host-local: IPv6 alone",
    versions: ALL_VERSIONS,
    plugins: chain({ ranges: [V6], routes: [{ dst: "::/0" }] }),
    steps: ["ADD", "CHECK", "DEL", "LOOK"],
  },
  {
    name: "host-local: every part of a range, and several in a set",
    plugins: chain({
      ranges: [
        [
          { subnet: "10.1.0.0/16", rangeStart: "10.1.2.3", rangeEnd: "10.1.2.5", gateway: "10.1.2.4" },
          { subnet: "10.2.0.0/30" },
        ],
        [{ subnet: "fd77::/120", rangeStart: "fd77::fe", gateway: "fd77::ff" }],
      ],
    }),
    steps: [
      add("a"),
      add("b"),
      add("c"),
      "LOOK",
      add("d"),
      del("a"),
      "LOOK",
      add("e"),
      "LOOK",
      add("f"),
      "LOOK",
    ],
  },
  {
    name: "host-local: the pool goes round and runs out",
    plugins: chain({ subnet: "10.77.0.0/29" }),
    steps: [
      ...["a", "b", "c", "d", "e", "f"].map(id => add(id)),
      "LOOK",
      ...[del("c"), add("g"), add("h"), del("a"), del("b"), add("i"), add("j")],
      "LOOK",
    ],
  },
  {
    name: "host-local: asked for addresses",
    plugins: chain({ ranges: [V4, V6] }),
    steps: [
      add("a", { args: "IP=10.77.0.50" }),
      add("b", { args: "IP=10.77.0.50" }),
      add("c", { args: "IP=10.77.0.1" }),
      add("d", { args: "IP=10.99.0.1" }),
      add("e", { args: "IP=nonsense" }),
      add("f", { args: "FROB=1" }),
      add("g", { args: "FROB=1;IgnoreUnknown=1" }),
      add("h", { args: "IgnoreUnknown=maybe" }),
      add("i", { args: "IP" }),
      add("i2", { args: "IP=1=2" }),
      add("j", { args: "IP=fd77::50;IgnoreUnknown=true" }),
      add("k", { conf: { runtimeConfig: { ips: ["10.77.0.60", "fd77::60"] } } }),
      add("l", { conf: { runtimeConfig: { ips: ["10.77.0.61/24"] } } }),
      add("m", { conf: { runtimeConfig: { ips: ["10.77.0.62", "10.77.0.63"] } } }),
      add("n", { conf: { runtimeConfig: { ips: ["text"] } } }),
      add("o", { conf: { args: { cni: { ips: ["10.77.0.64"] } } } }),
      add("p", { args: "IP=10.77.0.65", conf: { runtimeConfig: { ips: ["fd77::65"] } } }),
      add("q", { conf: { runtimeConfig: { ips: [] } } }),
      "LOOK",
    ],
  },
  {
    name: "host-local: ranges of the runtime come first",
    plugins: chain({ ranges: [V4] }, { capabilities: { ipRanges: true } }),
    steps: [
      add("a", { conf: { runtimeConfig: { ipRanges: [[{ subnet: "10.5.0.0/24", gateway: "10.5.0.9" }]] } } }),
      add("b", { conf: { runtimeConfig: { ipRanges: [V6] } } }),
      add("c", { conf: { runtimeConfig: { ipRanges: [V4] } } }),
      add("d", { conf: { runtimeConfig: { ipRanges: [[{ subnet: "10.6.0.1/24" }]] } } }),
      add("e", { conf: { runtimeConfig: { ipRanges: "text" } } }),
      "LOOK",
    ],
  },
  {
    name: "host-local: its own directory, and a resolv.conf",
    before: `printf '# words\\nnameserver 192.0.2.53\\nnameserver fd00::53\\ndomain example.com\\nsearch a.example b.example\\noptions ndots:2 edns0\\n' >/run/resolv.conf`,
    plugins: chain({ subnet: "10.77.0.0/24", dataDir: "/run/addresses", resolvConf: "/run/resolv.conf" }),
    versions: ALL_VERSIONS,
    steps: [
      "ADD",
      "CHECK",
      "LOOK",
      "DEL",
      "LOOK",
      { do: "ADD", conf: { ipam: { type: "host-local", subnet: "10.77.0.0/24", resolvConf: "/nowhere" } } },
    ],
  },
  {
    name: "host-local: CHECK and DEL of what is not there",
    plugins: chain({ subnet: "10.77.0.0/24" }),
    steps: [
      "CHECK",
      "DEL",
      "LOOK",
      "ADD",
      { do: "CHECK", id: "c2" },
      { do: "CHECK", ifName: "eth1" },
      { do: "CHECK", prevResult: "none" },
      { do: "DEL", netns: "" },
      { do: "DEL", netns: "/nowhere" },
      "LOOK",
    ],
  },
  {
    name: "host-local: files of others in its directory",
    before: `mkdir -p /var/lib/cni/networks/net && cd /var/lib/cni/networks/net
      printf 'old' >10.77.0.2; printf 'new\\r\\neth0' >10.77.0.3; printf 'new\\r\\neth1' >10.77.0.4
      printf 'unix\\neth0' >10.77.0.5; printf '10.77.0.6' >last_reserved_ip.0; printf 'words' >README`,
    plugins: chain({ subnet: "10.77.0.0/24" }),
    steps: [
      add("a"),
      del("old"),
      del("new"),
      del("unix"),
      { do: "CHECK", id: "new", ifName: "eth1" },
      "LOOK",
    ],
  },
  {
    name: "host-local: a last address that is none, or outside",
    before: `mkdir -p /var/lib/cni/networks/net && printf 'words' >/var/lib/cni/networks/net/last_reserved_ip.0
      printf 'fd99::1' >/var/lib/cni/networks/net/last_reserved_ip.1`,
    plugins: chain({ ranges: [V4, V6] }),
    steps: [add("a"), add("b"), "LOOK"],
  },
  {
    name: "host-local: one address of two can't be had",
    plugins: chain({ ranges: [V4, [{ subnet: "10.78.0.0/30" }]] }),
    steps: [add("a"), add("b"), "LOOK", add("c"), "LOOK"],
  },
  {
    name: "host-local: configurations that are refused",
    steps: [
      ...refusedOf("host-local", [
        {},
        { ranges: [] },
        { ranges: [[]] },
        { ranges: "text" },
        { ranges: [{ subnet: "10.77.0.0/24" }] },
        { subnet: "text" },
        { subnet: 7 },
        { subnet: "10.77.0.0" },
        { subnet: "10.77.0.5/24" },
        { subnet: "10.77.0.0/31" },
        { subnet: "10.77.0.0/32" },
        { subnet: "fd77::/127" },
        { subnet: "fd77::1/64" },
        { subnet: "10.77.0.0/33" },
        { subnet: "10.77.0.0/24", gateway: "text" },
        { subnet: "10.77.0.0/24", gateway: "10.99.0.1" },
        { subnet: "10.77.0.0/24", rangeStart: "10.99.0.1" },
        { subnet: "10.77.0.0/24", rangeStart: "text" },
        { subnet: "10.77.0.0/24", rangeEnd: "10.99.0.1" },
        { subnet: "10.77.0.0/24", rangeStart: "10.77.0.20", rangeEnd: "10.77.0.10" },
        { ranges: [[{ subnet: "10.77.0.0/24" }, { subnet: "fd77::/64" }]] },
        { ranges: [[{ subnet: "10.77.0.0/24" }, { subnet: "10.77.0.0/25" }]] },
        { ranges: [[{ subnet: "10.77.0.0/24" }], [{ subnet: "10.77.0.128/25" }]] },
        { subnet: "10.77.0.0/24", routes: "text" },
        { subnet: "10.77.0.0/24", routes: [{ dst: "text" }] },
        { subnet: "10.77.0.0/24", routes: [{ dst: "0.0.0.0/0", gw: "text" }] },
      ]),
      { call: "host-local", stdin: { cniVersion: "1.0.0", name: "net", type: "bridge" } },
      { call: "host-local", stdin: { cniVersion: "1.0.0", name: "net", type: "bridge", ipam: "text" } },
      {
        call: "host-local",
        stdin: { cniVersion: "1.0.0", name: "net", type: "bridge", ipam: { subnet: "10.77.0.0/24" } },
      },
      {
        call: "host-local",
        env: { CNI_COMMAND: "DEL" },
        stdin: { cniVersion: "1.0.0", name: "net", type: "bridge" },
      },
      {
        call: "host-local",
        env: { CNI_COMMAND: "DEL" },
        stdin: { cniVersion: "1.0.0", name: "net", ipam: { type: "host-local" } },
      },
      "LOOK",
    ],
  },
  {
    name: "static: addresses, routes and name servers",
    versions: ALL_VERSIONS,
    plugins: statically({
      addresses: [{ address: "10.77.0.5/24", gateway: "10.77.0.1" }, { address: "fd77::5/64" }],
      routes: [{ dst: "0.0.0.0/0" }, { dst: "fd99::/48", gw: "fd77::1" }],
      dns: {
        nameservers: ["192.0.2.53"],
        domain: "example.com",
        search: ["example.com"],
        options: ["ndots:2"],
      },
    }),
    steps: ["ADD", "CHECK", "DEL", "DEL", "LOOK"],
  },
  {
    name: "static: addresses of the runtime",
    plugins: statically({ addresses: [{ address: "10.77.0.5/24" }] }),
    steps: [
      add("a", { conf: { runtimeConfig: { ips: ["10.77.0.6/24", "fd77::6/64"] } } }),
      add("b", { conf: { runtimeConfig: { ips: ["10.77.0.6"] } } }),
      add("c", { conf: { args: { cni: { ips: ["10.77.0.7/24"] } } } }),
      add("d", { conf: { args: { cni: { ips: ["10.77.0.7"] } } } }),
      add("e", { args: "IP=10.77.0.8/24;GATEWAY=10.77.0.1" }),
      add("f", { args: "IP=10.77.0.8/24,fd77::8/64;GATEWAY=fd77::1" }),
      add("g", { args: "IP=10.77.0.8" }),
      add("h", { args: "IP=10.77.0.8/24;GATEWAY=text" }),
      add("i", { args: "GATEWAY=10.77.0.1" }),
      add("j", { args: "FROB=1" }),
      add("k", { conf: { runtimeConfig: { ips: [] } } }),
      "LOOK",
    ],
  },
  {
    name: "static: CHECK",
    plugins: statically({
      addresses: [{ address: "10.77.0.5/24", gateway: "10.77.0.1" }, { address: "fd77::5/64" }],
    }),
    steps: [
      "CHECK",
      "ADD",
      "CHECK",
      { do: "CHECK", prevResult: "none" },
      { do: "CHECK", prevResult: { cniVersion: "1.0.0", ips: [{ address: "10.77.0.6/24" }] } },
      {
        do: "CHECK",
        prevResult: { cniVersion: "1.0.0", ips: [{ address: "10.77.0.5/24", gateway: "10.77.0.2" }] },
      },
      {
        do: "CHECK",
        prevResult: {
          cniVersion: "1.0.0",
          ips: [
            { address: "10.77.0.5/24", gateway: "10.77.0.1" },
            { address: "fd77::5/64" },
            { address: "10.1.1.1/24" },
          ],
        },
      },
    ],
  },
  {
    name: "static: configurations that are refused",
    steps: [
      ...refusedOf("static", [
        {},
        { addresses: [] },
        { addresses: "text" },
        { addresses: [{}] },
        { addresses: [{ address: "text" }] },
        { addresses: [{ address: "10.77.0.5" }] },
        { addresses: [{ address: "10.77.0.5/24", gateway: "text" }] },
        { addresses: [{ address: "10.77.0.5/24" }, { address: "10.78.0.5/24" }] },
        { addresses: [{ address: "10.77.0.5/24" }], routes: [{ dst: "text" }] },
        { addresses: [{ address: "10.77.0.5/24" }], dns: "text" },
        { addresses: [{ address: "10.77.0.5/24" }], dns: { nameservers: "text" } },
      ]),
      { call: "static", stdin: { cniVersion: "1.0.0", name: "net", type: "bridge" } },
      { call: "static", stdin: { cniVersion: "1.0.0", name: "net", type: "bridge", ipam: "text" } },
      "LOOK",
    ],
  },
];
