/** Made-up facts for `src/explain/`: a host, its containers and what the kernel has of them. */
import { explainPath } from "../../src/explain/explain.ts";
import {
  type ContainerFacts,
  type Explanation,
  type Facts,
  type Party,
  type Query,
  Unseen,
  type UserModeFacts,
} from "../../src/explain/facts.ts";
import type { Element } from "../../src/firewall/element.ts";
import type { NamespaceView } from "../../src/network/namespace-view.ts";

/** A namespace with `lo` and the links named, `eth0 10.88.0.2/16`. */
export function view(links: string[], more: Partial<NamespaceView> = {}): NamespaceView {
  const parsed = links.map((text, at) => {
    const [name, ...addresses] = text.split(" ");
    return { name: name!, addresses, index: at + 2 };
  });
  const kindOf = (name: string) =>
    name.startsWith("cni")
      ? "bridge"
      : name.startsWith("tap")
        ? "tun"
        : name.startsWith("veth")
          ? "veth"
          : "";
  return {
    links: [
      { index: 1, name: "lo", kind: "", up: true, loopback: true, master: 0, peerIndex: 0 },
      ...parsed.map(({ name, index }) => ({
        ...{ index, name, kind: kindOf(name), up: true, loopback: false, master: 0, peerIndex: 0 },
      })),
    ],
    addresses: parsed.flatMap(({ index, addresses }) =>
      addresses.map(text => {
        const [ip, prefix] = text.split("/");
        return { index, ip: ip!, prefix: Number(prefix), scope: "global" };
      }),
    ),
    routes: parsed.flatMap(({ index, addresses }) =>
      addresses.map(dst => ({ dst, gateway: "", index, metric: 0, source: "", type: 1 })),
    ),
    forwarding: { 4: true, 6: true },
    listening: [],
    ...more,
  };
}

export const route = (dst: string, gateway: string, index: number) => ({
  ...{ dst, gateway, index, metric: 0, source: "", type: 1 },
});
export const socket = (ip: string, port: number, inode: number, protocol: "tcp" | "udp" = "tcp") => ({
  ...{ protocol, ip, port, inode },
});
const container = (id: string, more: Partial<ContainerFacts> = {}): ContainerFacts => ({
  id,
  name: id,
  status: "running",
  up: true,
  mode: "bridge",
  place: id,
  networks: [],
  attachments: [],
  ports: [],
  ...more,
});
const onBridge = (network: string, bridge: string, ipv4: string, ipv6 = "") => ({
  networks: [network],
  attachments: [{ network, ifName: "eth0", ipv4, ipv6, bridge }],
});
const publish = (hostPort: number, containerPort: number, hostIp = "") => ({
  ...{ hostIp, hostPort, containerPort, protocol: "tcp" as const, range: 1 },
});
/** A container's namespace on a bridge; `peer` is the index of its cable's other end. */
function inside(address: string, gateway: string, peer: number, listening: NamespaceView["listening"] = []) {
  const one = view([`eth0 ${address}`], { listening });
  Object.assign(one.links[1]!, { kind: "veth", peerIndex: peer });
  if (gateway) one.routes.push(route("0.0.0.0/0", gateway, 2));
  return one;
}

export const concat = (...fields: (string | number)[]) => ({ concat: fields });
export const element = (set: Element["set"], key: Element["key"], data?: Element["data"]): Element => ({
  ...{ set, key, owner: "" },
  ...(data === undefined ? {} : { data }),
});

/** Root's: `db` (80 published as 8080) and `web` on podman, `far` on net2, `tap` behind a tap, `off` not running. */
export function rootful(): Facts & { views: Map<string, NamespaceView | null> } {
  const host = view(
    ["eth0 192.168.100.8/24", "cni0 10.88.0.1/16", "cni-2 10.89.0.1/24", "veth1", "veth2", "veth3"],
    {
      firewall: {
        closed: { 4: false, 6: false },
        elements: [
          element("port4", concat(6, 8080), concat("10.88.0.2", 80)),
          element("masquerade4", "10.88.0.2"),
          element("masquerade4", "10.88.0.3"),
          element("masquerade4", "10.89.0.2"),
        ],
      },
    },
  );
  host.routes.push(route("0.0.0.0/0", "192.168.100.1", 2));
  for (const [at, master] of [
    [4, 3],
    [5, 3],
    [6, 4],
  ] as const)
    host.links[at]!.master = master;
  return {
    rootless: false,
    containers: [
      container("db", { ...onBridge("podman", "cni0", "10.88.0.2"), ports: [publish(8080, 80)] }),
      container("web", onBridge("podman", "cni0", "10.88.0.3")),
      container("far", onBridge("net2", "cni-2", "10.89.0.2")),
      container("tap", { mode: "slirp4netns", userMode: TAP, ports: [publish(7070, 80)] }),
      container("off", { status: "exited", up: false, ports: [publish(22, 22)] }),
      container("own", { mode: "host", place: "host" }),
      container("side", { mode: "container", sharedWith: "db", place: "db" }),
      container("alone", { mode: "none" }),
    ],
    networks: [
      { name: "podman", driver: "bridge", bridge: "cni0", internal: false, isolated: false, dns: false },
      { name: "net2", driver: "bridge", bridge: "cni-2", internal: false, isolated: false, dns: true },
    ],
    service: {
      taps: ["tap"],
      names: [],
      ports: [
        {
          key: "tap:0",
          tap: "tap",
          settings: {
            ...{ proto: "tcp", hostAddr: "0.0.0.0", hostPort: 7070, guestAddr: "10.0.2.100", guestPort: 80 },
            count: 1,
          },
        },
      ],
    },
    views: new Map<string, NamespaceView | null>([
      ["host", host],
      [
        "db",
        inside("10.88.0.2/16", "10.88.0.1", 5, [socket("0.0.0.0", 80, 11), socket("127.0.0.1", 81, 12)]),
      ],
      ["web", inside("10.88.0.3/16", "10.88.0.1", 6)],
      ["far", inside("10.89.0.2/24", "10.89.0.1", 7, [socket("0.0.0.0", 53, 13, "udp")])],
      ["tap", tapView()],
      ["alone", view([])],
    ]),
    owners: new Map([
      [11, { pid: 4711, program: "nginx" }],
      [12, { pid: 4711, program: "nginx" }],
      [13, null],
      [14, { pid: 5, program: "sshd" }],
      [15, { pid: 6, program: "httpd" }],
    ]),
  };
}
export const TAP: UserModeFacts = {
  settings: {
    ipv4: { subnet: "10.0.2.0/24", gateway: "10.0.2.2", dns: "10.0.2.3", guest: "10.0.2.100" },
    mtu: 65520,
    hostLoopback: false,
    dns: true,
    outbound: {},
  },
  ifName: "tap0",
  guest: { ipv4: "10.0.2.100", ipv6: "" },
  hostAddress: "192.168.100.8",
};
function tapView() {
  const one = view(["tap0 10.0.2.100/24"], { listening: [socket("0.0.0.0", 80, 15)] });
  one.routes.push(route("0.0.0.0/0", "10.0.2.2", 2));
  return one;
}

export function party(text: string): Party {
  if (text === "host" || text === "internet") return { kind: text };
  return /^[\d.]+$|:/.test(text)
    ? { kind: "address", text, addresses: [text] }
    : { kind: "container", id: text };
}
export function ask(facts: Facts, from: string, to: string, port?: number, protocol: "tcp" | "udp" = "tcp") {
  const query: Query = { from: party(from), to: party(to), protocol, ...(port ? { port } : {}) };
  const found = explainPath(facts, query);
  if (found instanceof Unseen) throw new Error(`not looked at: ${JSON.stringify(found.what)}`);
  return found;
}
export const verdictOf = ({ reached, verdict }: Explanation) => `${reached ? "yes" : "no"}: ${verdict.text}`;
