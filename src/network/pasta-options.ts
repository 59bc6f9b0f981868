/**
 * The options of `--network pasta:`: words of passt(1)'s command line between commas, as Podman 5 passes them on. Obeyed is
 * what our own stack can do; what it can't is refused, never passed over.
 */
import { UserError } from "../base/errors.ts";
import { SERVICES, type Service } from "../stack/config.ts";
import { parseIP, parseMac } from "../wire/addr.ts";
import { checkedMtu, DEFAULT_MTU } from "./mtu.ts";

/** A published port, in the shape that `--publish` has. */
export interface PastaPort {
  hostIp: string;
  hostPort: number;
  containerPort: number;
  protocol: "tcp" | "udp";
  /** Ports in a row. */
  range: number;
}

/** Lists hold one address of each family at most; absent is what passt or Podman do where nothing is said. */
export interface PastaOptions {
  mode: "pasta";
  /** Bytes of IP packet. */
  mtu: number;
  /** The only family; absent: both. */
  family?: 4 | 6;
  addresses: string[];
  /** Of the IPv4 address. */
  prefix?: number;
  gateways: string[];
  /** The host's interface whose addresses are copied. */
  interface?: string;
  /** The interface's name in the container. */
  name?: string;
  /** Hardware addresses of the container's interface and of what it talks to. */
  mac?: string;
  gatewayMac?: string;
  /** Addresses of the host that traffic leaves from. */
  outbound: string[];
  /** Interfaces that traffic of a family leaves by. */
  outboundInterface4?: string;
  outboundInterface6?: string;
  /** Where queries are answered by the host's resolvers; absent: Podman's 169.254.1.1. */
  dnsForward?: string[];
  /** Resolvers to be asked directly. */
  dns?: string[];
  search: string[];
  /** The gateway's address leads to the host's loopback. */
  mapGateway: boolean;
  /** These lead there too. */
  mapHostLoopback: string[];
  /** These lead to the host's own address, which the container has as well; absent: Podman's 169.254.1.2. */
  mapGuestAddress?: string[];
  ports: PastaPort[];
  /** What does not pass, or is not answered. */
  without: Service[];
}

/** Podman's own: `--dns-forward` and `--map-guest-addr` where none is given. */
export const PODMAN_DNS = "169.254.1.1";
export const PODMAN_HOST = "169.254.1.2";

/** An option that can't be obeyed, with the exit code that Podman has for it: it finds out when the container starts. */
export function refusal(message: string, hint?: string): UserError {
  return new UserError(`pasta: ${message}`, { exitCode: 126, hint });
}

type Take = (options: PastaOptions, value: string, refuse: () => never) => void;

/** Options with a value. */
const VALUED: Record<string, Take> = {
  "--mtu": (options, value, refuse) => {
    options.mtu = value === "0" ? 1500 : (checkedMtu(value) ?? refuse());
  },
  "--address": (options, value, refuse) => {
    const [text, prefix] = value.split("/") as [string, string?];
    options.addresses = one(options.addresses, text, refuse);
    if (prefix !== undefined && parseIP(text)?.family === 4) options.prefix = prefixOf(prefix) ?? refuse();
  },
  "--netmask": (options, value, refuse) => {
    options.prefix = prefixOf(value) ?? refuse();
  },
  "--gateway": (options, value, refuse) => {
    options.gateways = one(options.gateways, value, refuse);
  },
  "--interface": (options, value, refuse) => {
    options.interface = isInterface(value) ? value : refuse();
  },
  "--ns-ifname": (options, value, refuse) => {
    options.name = isInterface(value) ? value : refuse();
  },
  "--ns-mac-addr": (options, value, refuse) => {
    options.mac = macOf(value) ?? refuse();
  },
  "--mac-addr": (options, value, refuse) => {
    options.gatewayMac = macOf(value) ?? refuse();
  },
  "--outbound": (options, value, refuse) => {
    options.outbound = one(options.outbound, value, refuse);
  },
  "--outbound-if4": (options, value, refuse) => {
    options.outboundInterface4 = isInterface(value) ? value : refuse();
  },
  "--outbound-if6": (options, value, refuse) => {
    options.outboundInterface6 = isInterface(value) ? value : refuse();
  },
  "--dns-forward": (options, value, refuse) => {
    options.dnsForward = one(options.dnsForward ?? [], value, refuse);
  },
  "--dns": (options, value, refuse) => {
    if (value !== "none" && !parseIP(value)) refuse();
    options.dns = value === "none" ? [] : [...(options.dns ?? []), value];
  },
  "--search": (options, value) => {
    if (value === "none") options.search = [];
    else options.search.push(value);
  },
  "--map-host-loopback": (options, value, refuse) => {
    if (value !== "none") options.mapHostLoopback = one(options.mapHostLoopback, value, refuse);
    else options.mapGateway = false;
  },
  "--map-guest-addr": (options, value, refuse) => {
    options.mapGuestAddress = value === "none" ? [] : one(options.mapGuestAddress ?? [], value, refuse);
  },
  "--tcp-ports": (options, value, refuse) => {
    options.ports.push(...portsOf("tcp", value, refuse));
  },
  "--udp-ports": (options, value, refuse) => {
    options.ports.push(...portsOf("udp", value, refuse));
  },
  "--tcp-ns": (_, value) => onlyNone("--tcp-ns", value),
  "--udp-ns": (_, value) => onlyNone("--udp-ns", value),
};

/** Options that stand alone. */
const ALONE: Record<string, (options: PastaOptions) => void> = {
  "--ipv4-only": options => {
    options.family = 4;
  },
  "--ipv6-only": options => {
    options.family = 6;
  },
  "--map-gw": options => {
    options.mapGateway = true;
  },
  "--no-map-gw": options => {
    options.mapGateway = false;
  },
  ...Object.fromEntries(
    SERVICES.map(service => [
      `--no-${service}`,
      (options: PastaOptions) => {
        if (!options.without.includes(service)) options.without.push(service);
      },
    ]),
  ),
  // What is so anyway.
  ...Object.fromEntries(
    ["--config-net", "--quiet", "--foreground", "--no-netns-quit", "--no-splice"].map(word => [
      word,
      () => {},
    ]),
  ),
};

const SHORT: Record<string, string> = {
  m: "--mtu",
  a: "--address",
  n: "--netmask",
  g: "--gateway",
  i: "--interface",
  I: "--ns-ifname",
  M: "--mac-addr",
  o: "--outbound",
  D: "--dns",
  S: "--search",
  t: "--tcp-ports",
  u: "--udp-ports",
  T: "--tcp-ns",
  U: "--udp-ns",
  4: "--ipv4-only",
  6: "--ipv6-only",
  q: "--quiet",
  f: "--foreground",
};

/** Reads the words in order. Throws one line that names the option which can't be obeyed. */
export function parsePastaOptions(words: readonly string[]): PastaOptions {
  const options: PastaOptions = {
    mode: "pasta",
    mtu: DEFAULT_MTU,
    addresses: [],
    gateways: [],
    outbound: [],
    search: [],
    mapGateway: false,
    mapHostLoopback: [],
    ports: [],
    without: [],
  };
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!;
    const { name, attached } = split(word);
    const alone = Object.hasOwn(ALONE, name) ? ALONE[name] : undefined;
    const take = Object.hasOwn(VALUED, name) ? VALUED[name] : undefined;
    if (alone && attached === undefined) alone(options);
    else if (take) {
      const value = attached ?? words[++index];
      if (value === undefined) throw refusal(`option ${word} requires an argument`);
      take(options, value, () => {
        throw refusal(`invalid argument ${JSON.stringify(value)} of ${name}`);
      });
    } else
      throw refusal(
        `option ${JSON.stringify(word)} is not supported`,
        "this network is served by Portolan's own stack; passt(1)'s options for addresses, ports, DNS and maps are",
      );
  }
  if (options.family) {
    const { family } = options;
    const other = [...options.addresses, ...options.gateways].find(text => parseIP(text)!.family !== family);
    if (other) throw refusal(`${other} is not of IPv${family}, the only family that was asked for`);
  }
  return options;
}

/** `-m1500`, `--mtu=1500`, `--mtu`. */
function split(word: string): { name: string; attached?: string } {
  if (/^-[a-zA-Z0-9]/.test(word)) {
    const attached = word.slice(2);
    return { name: SHORT[word[1]!] ?? word, ...(attached ? { attached } : {}) };
  }
  const equals = word.indexOf("=");
  return equals < 0 ? { name: word } : { name: word.slice(0, equals), attached: word.slice(equals + 1) };
}

/** `list` with an address in the place of the one of its family. */
function one(list: readonly string[], text: string, refuse: () => never): string[] {
  const ip = parseIP(text) ?? refuse();
  return [...list.filter(other => parseIP(other)!.family !== ip.family), text];
}

/** `24` or `255.255.255.0`. */
function prefixOf(text: string): number | undefined {
  if (/^\d{1,2}$/.test(text)) return Number(text) >= 1 && Number(text) <= 32 ? Number(text) : undefined;
  const mask = parseIP(text);
  if (mask?.family !== 4) return undefined;
  const bits = [...mask.bytes].map(byte => byte.toString(2).padStart(8, "0")).join("");
  return /^1+0*$/.test(bits) ? bits.lastIndexOf("1") + 1 : undefined;
}

const isInterface = (name: string) => /^[^\s/:]{1,15}$/.test(name) && name !== "." && name !== "..";

function macOf(text: string): string | undefined {
  const bytes = parseMac(text);
  return bytes && !(bytes[0]! & 1) && bytes.some(byte => byte !== 0) ? text.toLowerCase() : undefined;
}

/** `none`, or `[ADDRESS/]FIRST[-LAST][:FIRST[-LAST]]`. */
function portsOf(protocol: "tcp" | "udp", text: string, refuse: () => never): PastaPort[] {
  if (text === "none") return [];
  if (text === "auto" || text === "all" || /[~%]/.test(text))
    throw refusal(`ports ${JSON.stringify(text)} are not supported`, "name the ports, as in -t,8080:80");
  const slash = text.lastIndexOf("/");
  const hostIp = slash < 0 ? "" : text.slice(0, slash);
  if (slash >= 0 && !parseIP(hostIp)) refuse();
  const found =
    /^(\d{1,5})(?:-(\d{1,5}))?(?::(\d{1,5})(?:-(\d{1,5}))?)?$/.exec(text.slice(slash + 1)) ?? refuse();
  const first = Number(found[1]);
  const last = Number(found[2] ?? first);
  const to = Number(found[3] ?? first);
  const toLast = Number(found[4] ?? to + last - first);
  const sound = first >= 1 && to >= 1 && last <= 65535 && toLast <= 65535 && first <= last;
  if (!sound || toLast - to !== last - first) refuse();
  return [{ hostIp, hostPort: first, containerPort: to, protocol, range: last - first + 1 }];
}

/** Ports of the container's loopback that lead to the host: not on this stack. */
function onlyNone(option: string, value: string): void {
  if (value === "none") return;
  throw refusal(
    `${option} ${value} is not supported`,
    "reach the host's services with --map-gw, or by --map-host-loopback,ADDRESS",
  );
}
