/**
 * aardvark-dns' files: `<config>/aardvark-dns/NETWORK`, of an internal network `NETWORK%int`. The first line has the
 * addresses of the resolver and, where there are some, the servers that it asks; then comes a line a container: id, IPv4
 * addresses, IPv6 addresses, names, servers of its own. Lists have commas between, an empty one is an empty word. Pure.
 */

/** What names are in; podman has no option for another. */
export const DOMAIN = "dns.podman";
const INTERNAL = "%int";

export interface Entry {
  id: string;
  ipv4: string[];
  ipv6: string[];
  /** The container's name first. */
  names: string[];
  /** Servers that it wants asked in place of the network's. */
  servers: string[];
}

export interface Entries {
  /** Where the network's resolver listens. */
  listen: string[];
  /** Servers that it asks in place of the host's. */
  servers: string[];
  containers: Entry[];
}

export const fileName = (network: string, internal: boolean) =>
  internal ? `${network}${INTERNAL}` : network;

/** The network that a file is about; undefined for aardvark-dns' other files. */
export function networkOfFile(name: string): { network: string; internal: boolean } | undefined {
  if (name === "aardvark.pid" || name.startsWith(".")) return undefined;
  const internal = name.endsWith(INTERNAL);
  return { network: internal ? name.slice(0, -INTERNAL.length) : name, internal };
}

const list = (word: string | undefined) => (word ? word.split(",") : []);

export function parseEntries(text: string): Entries {
  const [first = "", ...rest] = text.split("\n");
  const [listen, servers] = first.split(" ");
  const containers = rest
    .filter(line => line !== "")
    .map((line): Entry => {
      const [id = "", ipv4, ipv6, names, own] = line.split(" ");
      return { id, ipv4: list(ipv4), ipv6: list(ipv6), names: list(names), servers: list(own) };
    });
  return { listen: list(listen), servers: list(servers), containers };
}

export function formatEntries({ listen, servers, containers }: Entries): string {
  const line = (words: readonly string[][], optional: readonly string[]) =>
    [...words, ...(optional.length > 0 ? [optional] : [])].map(one => one.join(",")).join(" ");
  const lines = containers.map(one => line([[one.id], one.ipv4, one.ipv6, one.names], one.servers));
  return `${[line([listen], servers), ...lines].join("\n")}\n`;
}
