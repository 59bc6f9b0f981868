/** What cases are made of. */
import { type Case, LIFE, refused, type Step, type Verb } from "../case.ts";

export const ROUTES = [{ dst: "0.0.0.0/0" }, { dst: "::/0" }];
export const V4 = {
  type: "host-local",
  ranges: [[{ subnet: "10.77.0.0/24" }]],
  routes: [{ dst: "0.0.0.0/0" }],
};
export const V6 = { type: "host-local", ranges: [[{ subnet: "fd77::/64" }]], routes: [{ dst: "::/0" }] };
export const DUAL = {
  type: "host-local",
  ranges: [[{ subnet: "10.77.0.0/24" }], [{ subnet: "fd77::/64" }]],
  routes: ROUTES,
};
/** The older Go plugins know this way alone, and it is the newest's own choice where nobody says. */
export const IPTABLES = { ipMasq: true, ipMasqBackend: "iptables" };
export const NFTABLES = { ipMasq: true, ipMasqBackend: "nftables" };
/** DELs that a runtime asks for when the container's namespace has gone. */
export const EMPTY: Verb[] = [
  { do: "DEL", netns: "" },
  { do: "DEL", netns: "/run/netns/gone" },
];

export const BRIDGE = { type: "bridge", bridge: "br0", isGateway: true, ipam: DUAL };
export const PTP = { type: "ptp", ipam: DUAL };
export const port = (hostPort: number, containerPort: number, protocol = "tcp", hostIP?: string) => ({
  hostPort,
  containerPort,
  protocol,
  hostIP,
});

/** A result of a plugin before, for those that are called alone. */
export const RESULT = {
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
export const refusedOf = (
  type: string,
  list: object[],
  result: typeof RESULT | object | null = RESULT,
): Step[] =>
  refused(type, list, result ? { prevResult: result } : {}).map(call =>
    result === null ? call : { ...call, env: { ...call.env, CNI_IFNAME: "eth0" } },
  );

export const after =
  (type: string) =>
  (name: string, more: object, steps: readonly Step[] = LIFE, first: object = BRIDGE): Case => ({
    name: `${type}: ${name}`,
    plugins: [first, { type, ...more }],
    steps,
  });
