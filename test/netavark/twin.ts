/** netavark and its twin: a host and a container, each a throw-away namespace, and one of the two programs. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PORTOLAN } from "../support/host.ts";
import { TestNetns } from "../support/netns.ts";

const DEBIANS = "/usr/lib/podman/netavark";
export const CONTAINER = "2d0fe608dc86d7ba65dcec724a335b618328f08daa62afd2ee7fa9d41f74e5a9";

/** What one program did, without what is random in it: lines that both should have. */
export type Facts = Record<string, string[]>;

interface IpLink {
  ifname: string;
  mtu: number;
  master?: string;
  linkinfo?: { info_kind?: string };
  addr_info: { local: string; prefixlen: number; scope: string; broadcast?: string }[];
}
interface IpRoute {
  type?: string;
  dst: string;
  gateway?: string;
  dev?: string;
  metric?: number;
  protocol?: string;
}

const IPV4_KEYS = ["forwarding", "route_localnet", "rp_filter", "arp_notify"];
const IPV6_KEYS = ["accept_dad", "accept_ra", "autoconf", "disable_ipv6", "forwarding"];

export class Twin implements Disposable {
  readonly host = new TestNetns("twin-host");
  readonly container = new TestNetns("twin-container");
  private readonly directory = mkdtempSync(join(tmpdir(), "portolan-netavark-"));
  private readonly program: string;

  constructor(which: "debian" | "ours") {
    this.program = which === "ours" ? join(this.directory, "netavark") : DEBIANS;
    if (which === "ours") symlinkSync(PORTOLAN, this.program);
    mkdirSync(join(this.directory, "config"));
    this.host.sh("ip", "link", "set", "lo", "up");
    // A wire for macvlan, and the way to the world.
    this.host.sh("ip", "link", "add", "wire", "type", "veth", "peer", "name", "far");
    for (const name of ["wire", "far"]) this.host.sh("ip", "link", "set", name, "up");
  }

  /** The command line of a verb. */
  words(verb: string, netns = this.container.path): string[] {
    return [
      ...[this.program, "--config", join(this.directory, "config"), "--rootless=false"],
      ...["--aardvark-binary=/usr/lib/podman/aardvark-dns", verb, netns],
    ];
  }

  /** Runs a verb; its exit code and what it printed. */
  call(verb: string, request: object | string, netns?: string): { code: number; stdout: string } {
    const words = this.words(verb, netns);
    const stdin = Buffer.from(typeof request === "string" ? request : JSON.stringify(request));
    const child = this.host.run(() => Bun.spawnSync(words, { stdin, stdout: "pipe", stderr: "ignore" }));
    return { code: child.exitCode, stdout: child.stdout.toString() };
  }

  /** The answer of a verb as lines: hardware addresses that are not asked for are random, networks come in any order. */
  answer(verb: string, request: object | string, netns?: string): string[] {
    const { code, stdout } = this.call(verb, request, netns);
    const asked = JSON.stringify(request);
    const text = stdout
      .trim()
      .replace(/"mac_address":"([0-9a-f:]+)"/g, (whole, mac) =>
        asked.includes(mac) ? whole : '"mac_address":"random"',
      );
    if (!text.startsWith("{")) return [`exit ${code}`, ...(text ? [text] : [])];
    const data = JSON.parse(text) as Record<string, unknown>;
    return [
      `exit ${code}`,
      ...Object.entries(data)
        .map(([key, value]) => `${key} ${JSON.stringify(value)}`)
        .sort(),
    ];
  }

  /** All that ours keeps outside of the kernel, but for locks. */
  files(): string[] {
    const own = join(this.directory, "config/portolan/results");
    return existsSync(own) ? readdirSync(own) : [];
  }

  /** The elements of our table. */
  elements(): string {
    const text = this.host.sh("sh", "-c", "nft list table inet portolan || true");
    return [...text.matchAll(/elements = \{[^}]*\}/g)].map(([one]) => one).join("\n");
  }

  private links(place: TestNetns, side: string): string[] {
    return place
      .json<IpLink[]>("ip", "-j", "-d", "address")
      .filter(one => !["lo", "wire", "far"].includes(one.ifname))
      .flatMap(({ ifname, mtu, master, linkinfo, addr_info }) => {
        // The host's ends of pairs are called by the kernel or at random.
        const name = /^veth/.test(ifname) ? "veth" : ifname;
        const kind = linkinfo?.info_kind ?? "";
        const own = addr_info.filter(one => one.scope !== "link");
        return [
          `${side} ${name} ${kind} mtu ${mtu} ${master ?? ""}`.trim(),
          ...own.map(one =>
            `${side} ${name} ${one.local}/${one.prefixlen} ${one.scope} ${one.broadcast ?? ""}`.trim(),
          ),
        ];
      })
      .sort();
  }

  private routes(place: TestNetns): string[] {
    return ["-4", "-6"].flatMap(family =>
      place
        .json<IpRoute[]>("ip", "-j", family, "route")
        .filter(one => !/^(fe80|ff00)/.test(one.dst))
        .map(one =>
          `${one.type ?? ""} ${one.dst} via ${one.gateway} dev ${one.dev} metric ${one.metric} ${one.protocol}`.trim(),
        )
        .sort(),
    );
  }

  private sysctls(place: TestNetns, names: readonly string[]): string[] {
    const read = (path: string) => place.sh("cat", `/proc/sys/net/${path}`).trim();
    return names.flatMap(name => [
      ...IPV4_KEYS.map(key => `${name} ipv4 ${key} ${read(`ipv4/conf/${name}/${key}`)}`),
      ...IPV6_KEYS.map(key => `${name} ipv6 ${key} ${read(`ipv6/conf/${name}/${key}`)}`),
    ]);
  }

  /** What is there now. */
  facts(bridges: readonly string[], interfaces: readonly string[]): Facts {
    const lo = this.container.json<{ flags: string[] }[]>("ip", "-j", "link", "show", "lo")[0]!;
    return {
      host: [...this.links(this.host, "host"), ...this.routes(this.host)],
      container: [
        `lo ${lo.flags.includes("UP") ? "up" : "down"}`,
        ...this.links(this.container, "container"),
      ],
      routes: this.routes(this.container),
      bridges: this.sysctls(this.host, bridges),
      interfaces: this.sysctls(this.container, interfaces),
      forwarding: ["ipv4/ip_forward", "ipv6/conf/all/forwarding"].map(
        path => `host ${path} ${this.host.sh("cat", `/proc/sys/net/${path}`).trim()}`,
      ),
    };
  }

  [Symbol.dispose](): void {
    for (const one of [this.host, this.container]) one[Symbol.dispose]();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Lines that only Debian's has, with `-`, and those that only ours has, with `+`. */
export function differences(debians: Facts, ours: Facts): string[] {
  return Object.keys(debians).flatMap(key => [
    ...debians[key]!.filter(line => !ours[key]!.includes(line)).map(line => `- ${line}`),
    ...ours[key]!.filter(line => !debians[key]!.includes(line)).map(line => `+ ${line}`),
  ]);
}
