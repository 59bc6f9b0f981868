/** What is on a `TestHost`, and what one moment has that another had not. */
import { ASIDE } from "../../src/netlink/socket.ts";
import { until } from "./await.ts";
import type { TestHost } from "./host.ts";

/** Lines per kind of thing; each line names one thing and nothing that changes by itself. */
export type Snapshot = Record<string, string[]>;

interface IpLink {
  ifname: string;
  mtu: number;
  master?: string;
  linkinfo?: { info_kind?: string };
}
interface IpAddress {
  ifname: string;
  addr_info: { local: string; prefixlen: number; scope: string }[];
}
interface IpRoute {
  dst: string;
  dev?: string;
  gateway?: string;
  table?: string;
  type?: string;
}

const json = async <T>(host: TestHost, ...command: string[]): Promise<T> =>
  JSON.parse((await host.must(...command)) || "[]") as T;

const lines = async (host: TestHost, script: string): Promise<string[]> =>
  (await host.must("sh", "-c", script)).split("\n").filter(Boolean);

/** Link-local and multicast entries come and go with a bridge's ports, by the kernel's own doing. */
const isKernels = (address: string) => /^(fe80|ff00)/i.test(address);

async function network(host: TestHost): Promise<Snapshot> {
  const [links, addresses, routes4, routes6] = await Promise.all([
    json<IpLink[]>(host, "ip", "-j", "-d", "link"),
    json<IpAddress[]>(host, "ip", "-j", "address"),
    json<IpRoute[]>(host, "ip", "-j", "-4", "route", "show", "table", "all"),
    json<IpRoute[]>(host, "ip", "-j", "-6", "route", "show", "table", "all"),
  ]);
  return {
    links: links.map(
      ({ ifname, linkinfo, mtu, master }) => `${ifname} ${linkinfo?.info_kind ?? ""} ${mtu} ${master ?? ""}`,
    ),
    addresses: addresses.flatMap(({ ifname, addr_info }) =>
      addr_info
        .filter(({ local }) => !isKernels(local))
        .map(({ local, prefixlen, scope }) => `${ifname} ${local}/${prefixlen} ${scope}`),
    ),
    routes: [...routes4, ...routes6]
      .filter(({ dst }) => !isKernels(dst))
      .map(({ dst, dev, gateway, table, type }) => [type, dst, gateway, dev, table].join(" ")),
    rules: await lines(host, "ip rule; ip -6 rule"),
  };
}

/** Each object of the ruleset as JSON, without the numbers that the kernel gives and counts. */
async function firewall(host: TestHost): Promise<string[]> {
  const { nftables } = await json<{ nftables: object[] }>(host, "nft", "-j", "list", "ruleset");
  return nftables
    .filter(object => !("metainfo" in object))
    .map(object =>
      JSON.stringify(object, (key, value) => (/^(handle|packets|bytes)$/.test(key) ? undefined : value)),
    );
}

/** Files that stay by design: the store's journal, room for volumes and for loading, host-local's memory of its last address, locks. */
const STAYING =
  /^\/var\/lib\/portolan\/(volumes|tmp)$|\/state\.db(-wal|-shm)?$|\/last_reserved_ip\.\d+$|\/networks\/[^/]+\/lock$|\/locks\/[^/]+$|\/cni\.lock$/;

/** All that a container can leave on `host`. */
export async function snapshot(host: TestHost): Promise<Snapshot> {
  // First, since what is on its way out takes its files and links along.
  const running = await processes(host);
  const directories = "/var/lib/portolan /run /var/lib/cni /etc/cni /tmp";
  const contents = "-path '/var/lib/portolan/layers/*/*' -prune -o";
  const files = await lines(host, `find ${directories} -xdev -mindepth 1 ${contents} -print`);
  const found: Snapshot = {
    ...(await network(host)),
    firewall: await firewall(host),
    namespaces: await lines(host, "ls /run/netns 2>/dev/null || true"),
    mounts: await lines(host, "awk '{ print $5 }' /proc/1/mountinfo"),
    processes: running,
    groups: await lines(host, "find /sys/fs/cgroup -mindepth 2 -type d"),
    sockets: await lines(host, "ss -Hlntu | awk '{ print $1, $5 }'"),
    files: files.filter(path => !STAYING.test(path)),
  };
  for (const kind of Object.keys(found)) found[kind]?.sort();
  return found;
}

/** Processes on their way out: conmon's exit commands that find all done, what has no arguments any more or is not quite reaped. */
const ENDING = / container cleanup [0-9a-f]{64}$|<defunct>$|^\[[^\]]+\]$/;

/**
 * Command lines of the host's processes but for the first, those that look, and what only waits for the kernel
 * (`dropLink`). Those on their way out are given the time to end.
 */
async function processes(host: TestHost): Promise<string[]> {
  let found: string[] = [];
  const look = async () => {
    const all = await lines(host, "ps -e -o pid=,args= | grep -v ' ps -e ' || true");
    found = all
      .map(line => line.trim().replace(/^(\d+) +/, "$1 "))
      .filter(line => !/^1 /.test(line) && !line.endsWith(` ${ASIDE}`))
      .filter(line => !/ (sh -c )?(ps -e|grep -v) /.test(line))
      .map(line => line.replace(/^\d+ /, ""));
    return !found.some(line => ENDING.test(line));
  };
  await until(look, () => `processes that do not end:\n${found.join("\n")}`);
  return found;
}

/** What came and what went, one line each, as `+ kind: thing` and `- kind: thing`; none when all is as it was. */
export function difference(before: Snapshot, after: Snapshot): string[] {
  const lost = (from: string[], to: string[]) => {
    const rest = [...to];
    return from.filter(line => {
      const at = rest.indexOf(line);
      if (at >= 0) rest.splice(at, 1);
      return at < 0;
    });
  };
  return Object.keys({ ...before, ...after }).flatMap(kind => {
    const [old, now] = [before[kind] ?? [], after[kind] ?? []];
    return [
      ...lost(now, old).map(line => `+ ${kind}: ${line}`),
      ...lost(old, now).map(line => `- ${kind}: ${line}`),
    ];
  });
}
