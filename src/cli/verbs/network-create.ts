import { UserError } from "../../base/errors.ts";
import { log } from "../../base/log.ts";
import type { NetworkRequest } from "../../network/plan.ts";
import { parseIP } from "../../wire/addr.ts";
import { type Command, type Invocation, print, requireArgs } from "../command.ts";
import type { Values } from "../flags.ts";

function pairs(texts: readonly string[], failure: string): Record<string, string> {
  return Object.fromEntries(
    texts.map(text => {
      const equals = text.indexOf("=");
      const key = equals < 0 ? text : text.slice(0, equals);
      if (key === "") throw new UserError(`${failure}: invalid label format: ${JSON.stringify(text)}`);
      return [key, equals < 0 ? "" : text.slice(equals + 1)];
    }),
  );
}

/** The subnets, each with the gateway and the range that stand at its place in their lists. */
function subnetsOf(invocation: Invocation): NetworkRequest["subnets"] {
  const { flags, path } = invocation;
  const [subnets, gateways, ranges] = ["subnet", "gateway", "ip-range"].map(name => flags.list(name)) as [
    string[],
    string[],
    string[],
  ];
  for (const one of gateways)
    if (!parseIP(one))
      throw new UserError(
        `invalid argument ${JSON.stringify(one)} for "--gateway" flag: invalid string being converted to IP address: ${one}`,
        { hint: `See '${path} --help'` },
      );
  if (subnets.length === 0 && gateways.length + ranges.length > 0)
    throw new UserError("cannot set gateway or range without subnet");
  if (gateways.length > subnets.length) throw new UserError("cannot set more gateways than subnets");
  if (ranges.length > subnets.length) throw new UserError("cannot set more ranges than subnets");
  return subnets.map((subnet, index) => ({ subnet, gateway: gateways[index], range: ranges[index] }));
}

function driverOf(flags: Values, options: Record<string, string>): string {
  const parent = flags.string("macvlan");
  if (parent === undefined) return flags.string("driver") ?? "bridge";
  log.warn("The --macvlan option is deprecated, use `--driver macvlan --opt parent=<device>` instead");
  options.parent = parent;
  return "macvlan";
}

export const networkCreate: Command = {
  summary: "Create a network",
  usage: "[options] [NAME]",
  flags: [
    { long: "disable-dns", kind: "bool", help: "Do not make the names of its containers known on it" },
    { long: "driver", short: "d", kind: "string", help: 'Driver of the network ("bridge"|"macvlan")' },
    { long: "gateway", kind: "slice", metavar: "ipSlice", help: "IPv4 or IPv6 gateway for the subnet" },
    { long: "ignore", kind: "bool", help: "Don't fail if the network exists already" },
    { long: "internal", kind: "bool", help: "No way out of this network, and none in" },
    { long: "ip-range", kind: "array", help: "Allocate container IP from range" },
    { long: "ipam-driver", kind: "string", help: 'IP address management driver ("host-local"|"none")' },
    { long: "ipv6", kind: "bool", help: "Enable IPv6 networking beside IPv4" },
    { long: "label", kind: "array", help: "Set metadata on the network" },
    { long: "macvlan", kind: "string", hidden: true, help: "Make a macvlan of this interface" },
    {
      long: "opt",
      short: "o",
      kind: "array",
      help: "Set driver specific options (mtu=, isolate=; macvlan: parent=, mode=, mtu=)",
    },
    { long: "subnet", kind: "array", help: "Subnet in CIDR format; may be given for IPv4 and for IPv6" },
  ],
  async run(invocation) {
    requireArgs(invocation, 0, 1);
    const { flags, args } = invocation;
    const labels = pairs(flags.list("label"), "failed to parse labels");
    const options = pairs(flags.list("opt"), "unable to parse options");
    const driver = driverOf(flags, options);
    const subnets = subnetsOf(invocation);
    const engine = await invocation.engine();
    if (engine.user && driver === "macvlan")
      throw new UserError(
        "macvlan networks need root: an ordinary user's are in a namespace without the host's interfaces",
      );
    const [name] = args;
    if (name !== undefined && flags.bool("ignore") && engine.networks.list().some(one => one.name === name)) {
      print(name);
      return;
    }
    const made = await engine.networks.create({
      name,
      driver,
      subnets,
      ipv6: flags.bool("ipv6"),
      internal: flags.bool("internal"),
      dns: !flags.bool("disable-dns"),
      labels,
      options,
      ipamDriver: flags.string("ipam-driver"),
    });
    print(made.name);
  },
};
