/**
 * `--network slirp4netns[:OPTION=VALUE,…]` and `--network pasta[:OPTION,…]` as values. Pure: nothing is looked up on the
 * machine. What is wrong is refused in Podman's words.
 */
import { UserError } from "../base/errors.ts";
import { contains, formatCidr, networkOf, parseCidr, parseIP } from "../wire/addr.ts";
import { checkedMtu, DEFAULT_MTU } from "./mtu.ts";
import { type PastaOptions, parsePastaOptions } from "./pasta-options.ts";

export interface Slirp4netnsOptions {
  mode: "slirp4netns";
  /** The gateway's address leads to the host's loopback. */
  allowHostLoopback: boolean;
  /** Bytes of IP packet. */
  mtu: number;
  /** `10.0.2.0/24`-like; absent: one that is free on the host. */
  cidr?: string;
  ipv6: boolean;
  /** Where traffic leaves from: addresses or names of interfaces. */
  outbound?: string;
  outbound6?: string;
  /** Taken for Podman's sake: published ports keep their clients' addresses with either. */
  portHandler: "rootlesskit" | "slirp4netns";
}

export type UserModeOptions = Slirp4netnsOptions | PastaOptions;

/** Defaults of containers.conf. */
export interface UserModeDefaults {
  /** `engine.network_cmd_options`, for slirp4netns. */
  networkCmdOptions?: readonly string[] | undefined;
  /** `network.pasta_options`. */
  pastaOptions?: readonly string[] | undefined;
}

/** Podman reads these options when the container starts. */
const REFUSED = { exitCode: 126 };

/** The mode that a word of `--network` names, with its options; undefined where it names another. */
export function parseUserMode(word: string, defaults: UserModeDefaults = {}): UserModeOptions | undefined {
  const colon = word.indexOf(":");
  const mode = colon < 0 ? word : word.slice(0, colon);
  const words = colon < 0 ? [] : word.slice(colon + 1).split(",");
  if (mode === "slirp4netns")
    return parseSlirp4netnsOptions([...(defaults.networkCmdOptions ?? []), ...words]);
  if (mode === "pasta") return parsePastaOptions([...(defaults.pastaOptions ?? []), ...words]);
  return undefined;
}

/** The options of `slirp4netns:`, each `NAME=VALUE`; the last of a name counts. */
export function parseSlirp4netnsOptions(words: readonly string[]): Slirp4netnsOptions {
  const options: Slirp4netnsOptions = {
    mode: "slirp4netns",
    allowHostLoopback: false,
    mtu: DEFAULT_MTU,
    ipv6: true,
    portHandler: "rootlesskit",
  };
  for (const word of words) {
    const equals = word.indexOf("=");
    const [name, value] = [word.slice(0, equals), word.slice(equals + 1)];
    const refuse = (message: string): never => {
      throw new UserError(`${message} ${JSON.stringify(equals < 0 ? word : value)}`, REFUSED);
    };
    const truth = () =>
      value === "true" || (value !== "false" && refuse(`invalid value of ${name} for slirp4netns:`));
    switch (equals < 0 ? "" : name) {
      case "allow_host_loopback":
        options.allowHostLoopback = truth();
        break;
      case "enable_ipv6":
        options.ipv6 = truth();
        break;
      case "cidr":
        options.cidr = checkedNetwork(value) ?? refuse("invalid cidr");
        break;
      case "mtu":
        options.mtu = checkedMtu(value) ?? refuse("invalid mtu");
        break;
      case "outbound_addr":
        options.outbound = isSource(value, 4) ? value : refuse("invalid outbound_addr");
        break;
      case "outbound_addr6":
        options.outbound6 = isSource(value, 6) ? value : refuse("invalid outbound_addr6:");
        break;
      case "port_handler":
        if (value !== "rootlesskit" && value !== "slirp4netns")
          return refuse("unknown port_handler for slirp4netns:");
        options.portHandler = value;
        break;
      default:
        throw new UserError(`unknown option for slirp4netns: ${JSON.stringify(word)}`, REFUSED);
    }
  }
  return options;
}

/** What slirp4netns takes for `--cidr`: an IPv4 network with room for its addresses. */
function checkedNetwork(text: string): string | undefined {
  const cidr = parseCidr(text);
  if (cidr?.ip.family !== 4) return undefined;
  const network = formatCidr({ ip: networkOf(cidr), prefix: cidr.prefix });
  if (cidr.prefix < 1 || cidr.prefix > 25)
    throw new UserError(`invalid cidr ${JSON.stringify(text)}: prefix length needs to be 1-25`, REFUSED);
  if (network !== text)
    throw new UserError(
      `invalid cidr ${JSON.stringify(text)}: it needs to be a network address like ${network}`,
      REFUSED,
    );
  if (contains(cidr, parseIP("127.0.0.1")!) || cidr.ip.bytes[0]! >= 224 || cidr.ip.bytes[0] === 0)
    return undefined;
  return text;
}

/** An address of the family, or what could be an interface's name: whether there is one shows later. */
function isSource(text: string, family: 4 | 6): boolean {
  const ip = parseIP(text);
  return ip ? ip.family === family : /^[^\s/:]{1,15}$/.test(text);
}
