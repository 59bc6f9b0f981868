import { UserError } from "../../base/errors.ts";
import { isUp } from "../../container/config.ts";
import { connectNetwork, disconnectNetwork, reloadNetworks } from "../../container/connect.ts";
import { normalMac } from "../../container/parse-network.ts";
import { parseIP } from "../../wire/addr.ts";
import { type Command, forEach, type Invocation, print, requireArgs } from "../command.ts";
import { allFlag, LATEST, selectNames } from "../select.ts";

function address(invocation: Invocation, flag: "ip" | "ip6"): string | undefined {
  const text = invocation.flags.string(flag);
  if (text !== undefined && !parseIP(text))
    throw new UserError(
      `invalid argument ${JSON.stringify(text)} for "--${flag}" flag: failed to parse IP: ${JSON.stringify(text)}`,
      { status: 400, hint: `See '${invocation.path} --help'` },
    );
  return text;
}

export const networkConnect: Command = {
  summary: "Add a container to a network",
  usage: "[options] NETWORK CONTAINER",
  flags: [
    { long: "alias", kind: "slice", help: "Name by which the others on this network know the container" },
    { long: "ip", kind: "string", metavar: "ip", help: "Static IPv4 address on this network" },
    { long: "ip6", kind: "string", metavar: "ip", help: "Static IPv6 address on this network" },
    { long: "mac-address", kind: "string", help: "Static MAC address on this network" },
  ],
  async run(invocation) {
    requireArgs(invocation, 2, 2);
    const { flags } = invocation;
    const [network, container] = invocation.args as [string, string];
    const [ip, ip6] = [address(invocation, "ip"), address(invocation, "ip6")];
    const text = flags.string("mac-address");
    const mac = text === undefined ? undefined : normalMac(text);
    if (text !== undefined && !mac) throw new UserError(`address ${text}: invalid MAC address`);
    const engine = await invocation.engine();
    await connectNetwork(engine, container, network, { ip, ip6, mac, aliases: flags.list("alias") });
    return 0;
  },
};

export const networkDisconnect: Command = {
  summary: "Take a container off a network",
  usage: "[options] NETWORK CONTAINER",
  flags: [{ long: "force", short: "f", kind: "bool", help: "Also where the network is not there any more" }],
  async run(invocation) {
    requireArgs(invocation, 2, 2);
    const [network, container] = invocation.args as [string, string];
    const engine = await invocation.engine();
    await disconnectNetwork(engine, container, network, { force: invocation.flags.bool("force") });
    return 0;
  },
};

export const networkReload: Command = {
  summary: "Make the firewall rules of containers' networks anew",
  usage: "[options] [CONTAINER...]",
  flags: [allFlag("Reload the networks of all running containers"), LATEST],
  async run(invocation) {
    const engine = await invocation.engine();
    const names = selectNames(invocation, engine, {
      missing: "you must provide at least one name or id",
      all: one => isUp(one) && one.state.netnsPath !== "",
    });
    return forEach(names, async name => {
      await reloadNetworks(engine, name);
      print(engine.containers.get(name).config.id);
    });
  },
};
