/** The command line of slirp4netns(1), version 1.2, as values. Pure: nothing is looked up on the machine. */
import { type Cidr, formatIP, networkOf, parseCidr, parseIP } from "../wire/addr.ts";
import { GetoptError, getopt, type OptionSpec } from "./getopt.ts";

/** One option with what `--help` says about it. */
interface Option extends OptionSpec {
  /** The value's name in `--help`. */
  placeholder?: string;
  help: string;
}

export const OPTIONS: readonly Option[] = [
  { long: "configure", short: "c", help: "set the interface up: addresses, route, MTU, loopback" },
  {
    long: "exit-fd",
    short: "e",
    value: true,
    placeholder: "FD",
    help: "leave when FD hangs up or can be read",
  },
  {
    long: "ready-fd",
    short: "r",
    value: true,
    placeholder: "FD",
    help: "write 1 to FD and close it when all is up",
  },
  {
    long: "mtu",
    short: "m",
    value: true,
    placeholder: "MTU",
    help: "bytes to a packet (default=1500, max=65521)",
  },
  { long: "enable-ipv6", short: "6", help: "IPv6 as well, in fd00::/64" },
  {
    long: "api-socket",
    short: "a",
    value: true,
    placeholder: "PATH",
    help: "take requests for ports at this socket",
  },
  { long: "cidr", value: true, placeholder: "CIDR", help: "the guest's network (default=10.0.2.0/24)" },
  { long: "disable-host-loopback", help: "the gateway's address does not lead to the host's 127.0.0.1" },
  {
    long: "netns-type",
    value: true,
    placeholder: "TYPE",
    help: "what the first argument is ([path|pid|tapfd], default=pid)",
  },
  {
    long: "userns-path",
    value: true,
    placeholder: "PATH",
    help: "the user namespace that owns the network namespace",
  },
  { long: "enable-sandbox", help: "a file system of its own with next to nothing in it" },
  { long: "enable-seccomp", help: "refuse system calls that it never makes" },
  {
    long: "outbound-addr",
    value: true,
    placeholder: "IPv4",
    help: "address or interface that IPv4 traffic leaves from",
  },
  {
    long: "outbound-addr6",
    value: true,
    placeholder: "IPv6",
    help: "address or interface that IPv6 traffic leaves from",
  },
  { long: "disable-dns", help: "10.0.2.3 (or its like in CIDR) does not answer" },
  {
    long: "macaddress",
    value: true,
    placeholder: "MAC",
    help: "the interface's hardware address (with -c only)",
  },
  {
    long: "target-type",
    value: true,
    placeholder: "TYPE",
    help: "what frames are exchanged with ([netns|tap], default=netns)",
  },
  { long: "help", short: "h", help: "say this and end" },
  { long: "version", short: "v", help: "say the version and end" },
];

/** Where the tap is. */
export type Target =
  | { kind: "pid"; pid: number }
  | { kind: "path"; path: string }
  /** An open descriptor of a tap device. */
  | { kind: "tapfd"; fd: number };

export interface SlirpOptions {
  target: Target;
  /** "" with a tap descriptor that was given no name. */
  tapName: string;
  configure: boolean;
  exitFd?: number;
  readyFd?: number;
  /** Bytes of IP packet, 1 to 65521. */
  mtu: number;
  ipv6: boolean;
  apiSocket?: string;
  /** A network of prefix 1 to 25. */
  network: Cidr;
  hostLoopback: boolean;
  dns: boolean;
  sandbox: boolean;
  seccomp: boolean;
  /** Addresses or names of interfaces. */
  outbound?: string;
  outbound6?: string;
  /** Six bytes, as `aa:bb:cc:dd:ee:ff`. */
  mac?: string;
  usernsPath?: string;
}

export interface RunCommand {
  kind: "run";
  options: SlirpOptions;
  warnings: string[];
}

export type CommandLine = { kind: "help" } | { kind: "version" } | RunCommand;

/** A command line that can't be obeyed. `usage`: the help text follows the message. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  constructor(
    message: string,
    readonly usage = true,
  ) {
    super(message);
  }
}

const MAX_MTU = 65521;

/** Reads the words after the program's name; throws only `UsageError`. */
export function parseCommandLine(argv: readonly string[]): CommandLine {
  const { options: given, operands } = split(argv);
  const options: Omit<SlirpOptions, "target" | "tapName"> = {
    configure: false,
    mtu: 1500,
    ipv6: false,
    network: networkOption("10.0.2.0/24"),
    hostLoopback: true,
    dns: true,
    sandbox: false,
    seccomp: false,
  };
  const warnings: string[] = [];
  let netnsType = "pid";
  for (const { long, value } of given) {
    if (long === "help" || long === "version") return { kind: long };
    switch (long) {
      case "configure":
        options.configure = true;
        break;
      case "exit-fd":
        options.exitFd = descriptor(long, value);
        break;
      case "ready-fd":
        options.readyFd = descriptor(long, value);
        break;
      case "mtu":
        options.mtu =
          wholeNumber(value, 1, MAX_MTU) ?? fail(`MTU must be a positive integer (< ${MAX_MTU + 1})`);
        break;
      case "enable-ipv6":
        options.ipv6 = true;
        break;
      case "api-socket":
        options.apiSocket = value || fail("--api-socket needs a path");
        break;
      case "cidr":
        options.network = networkOption(value);
        break;
      case "disable-host-loopback":
        options.hostLoopback = false;
        break;
      case "disable-dns":
        options.dns = false;
        break;
      case "enable-sandbox":
        options.sandbox = true;
        break;
      case "enable-seccomp":
        options.seccomp = true;
        break;
      case "outbound-addr":
        options.outbound = addressOrInterface(value, 4);
        break;
      case "outbound-addr6":
        options.outbound6 = addressOrInterface(value, 6);
        break;
      case "macaddress":
        options.mac = macOption(value);
        break;
      case "netns-type":
        if (!["pid", "path", "tapfd"].includes(value))
          fail(`--netns-type must be "path", "pid" or "tapfd", not ${JSON.stringify(value)}`);
        netnsType = value;
        break;
      case "userns-path":
        options.usernsPath = value || fail("--userns-path needs a path");
        break;
      case "target-type":
        if (value !== "netns" && value !== "tap")
          fail(`--target-type must be "netns" or "tap", not ${JSON.stringify(value)}`);
        break;
    }
  }
  if (options.mac && !options.configure)
    fail("--macaddress cannot be specified when --configure or -c is not specified");
  const [first, tapName, ...rest] = operands;
  if (first === undefined || (tapName === undefined && netnsType !== "tapfd")) fail("");
  if (rest.length > 0) warnings.push("too many arguments");
  if (options.outbound6 && !options.ipv6)
    warnings.push("--outbound-addr6 does nothing without --enable-ipv6");
  const target = targetOption(netnsType, first);
  if (tapName !== undefined) checkTapName(tapName);
  return { kind: "run", options: { ...options, target, tapName: tapName ?? "" }, warnings };
}

function split(argv: readonly string[]) {
  try {
    return getopt(argv, OPTIONS);
  } catch (error) {
    if (error instanceof GetoptError) return fail(`slirp4netns: ${error.message}`);
    throw error;
  }
}

function fail(message: string, usage = true): never {
  throw new UsageError(message, usage);
}

/** A decimal number without sign or spaces, within bounds. */
function wholeNumber(text: string, least: number, most: number): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined;
  const number = Number(text);
  return number >= least && number <= most ? number : undefined;
}

const INT_MAX = 0x7fffffff;

function descriptor(long: string, text: string): number {
  return wholeNumber(text, 0, INT_MAX) ?? fail(`${long} must be a non-negative integer`);
}

function targetOption(type: string, text: string): Target {
  if (type === "path")
    return { kind: "path", path: text || fail("the path of a network namespace is missing") };
  if (type === "tapfd") return { kind: "tapfd", fd: descriptor("tapfd", text) };
  return { kind: "pid", pid: wholeNumber(text, 1, INT_MAX) ?? fail("PID must be a positive integer") };
}

/** What the kernel takes for an interface's name (dev_valid_name in net/core/dev.c). */
function checkTapName(name: string): void {
  const sound =
    Buffer.byteLength(name) <= 15 && name !== "" && name !== "." && name !== ".." && !/[\s/:]/.test(name);
  if (!sound)
    fail(`invalid interface name ${JSON.stringify(name)}: 1 to 15 bytes, no space, "/" or ":"`, false);
}

function networkOption(text: string): Cidr {
  const slash = text.indexOf("/");
  const length = text.slice(slash + 1);
  if (slash < 1 || !/^[\d.]+$/.test(text.slice(0, slash)) || !/^\d{1,2}$/.test(length) || /^0\d/.test(length))
    return fail(`invalid CIDR: ${text}`, false);
  const ip = parseIP(text.slice(0, slash)) ?? fail(`invalid network address: ${text.slice(0, slash)}`, false);
  const prefix = wholeNumber(length, 1, 25) ?? fail("prefix length needs to be 1-25", false);
  const network = parseCidr(`${formatIP(ip)}/${prefix}`)!;
  if (formatIP(networkOf(network)) !== formatIP(ip))
    return fail("CIDR needs to be a network address like 10.0.2.0/24, not like 10.0.2.100/24", false);
  return network;
}

/** An address of the family, or something that could be an interface's name; whether there is one shows later. */
function addressOrInterface(text: string, family: 4 | 6): string {
  const option = family === 4 ? "outbound-addr" : "outbound-addr6";
  const ip = parseIP(text);
  const sound = ip ? ip.family === family : /^[^\s/:]{1,15}$/.test(text);
  return sound ? text : fail(outboundMessage(option, family), false);
}

/** What is said when the value of `--outbound-addr[6]` is neither an address nor an interface with one. */
export function outboundMessage(option: string, family: 4 | 6): string {
  return `${option} has to be valid ipv${family} address or interface name.`;
}

function macOption(text: string): string {
  const parts = text.split(":");
  const sound = parts.length === 6 && parts.every(part => /^[0-9a-fA-F]{1,2}$/.test(part));
  const bytes = parts.map(part => Number.parseInt(part, 16));
  if (!sound)
    return fail(
      `${JSON.stringify(text)} is an invalid MAC address: six bytes in hex, as aa:bb:cc:dd:ee:ff`,
      false,
    );
  if (bytes[0]! & 1 || bytes.every(byte => byte === 0))
    return fail(
      `${JSON.stringify(text)} can't be an interface's MAC address: it is a multicast address or zero`,
      false,
    );
  return bytes.map(byte => byte.toString(16).padStart(2, "0")).join(":");
}
