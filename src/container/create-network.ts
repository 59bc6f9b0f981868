/** Deciding which networks a new container joins, and checking what is asked of them. */
import { existsSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import { parseUserMode } from "../network/user-mode-options.ts";
import { parseIP } from "../wire/addr.ts";
import type { NetworkJoin, NetworkMode, PortMapping } from "./config.ts";
import { sharedContainer } from "./create-namespaces.ts";
import type { CreateOptions } from "./create-options.ts";
import type { Engine } from "./engine.ts";
import { type JoinOptions, normalMac, parseNetworkWord } from "./parse-network.ts";

/** `--network`, one or several; nothing means the default network. */
export function networkMode(
  engine: Engine,
  words: readonly string[],
  options: Pick<CreateOptions, "ip" | "ip6" | "macAddress" | "networkAlias">,
): NetworkMode {
  if (engine.user && words.every(word => ["", "default", "private"].includes(word)))
    return defaultUserMode(engine);
  const names = new Map<string, JoinOptions>();
  // In a list there are networks only.
  const isList = (word: string) => word.includes(",") && !word.includes(":");
  const asked = words.flatMap(word =>
    isList(word) ? word.split(",").map(one => ({ word: one, listed: true })) : [{ word, listed: false }],
  );
  for (const { word, listed } of asked) {
    const [kind, ...rest] = word.split(":");
    const more = rest.join(":");
    const single: NetworkMode | undefined = listed
      ? undefined
      : word === "none"
        ? { kind: "none" }
        : word === "host"
          ? { kind: "host" }
          : kind === "container"
            ? { kind: "container", id: sharedContainer(engine, "net", more).config.id }
            : kind === "ns"
              ? { kind: "ns", path: more }
              : userMode(engine, word);
    if (single) {
      if (words.length > 1)
        throw new UserError(
          names.size > 0
            ? `can only set extra network names, selected mode ${word} conflicts with bridge: invalid argument`
            : `cannot set multiple networks without bridge network mode, selected mode ${word}: invalid argument`,
        );
      if (single.kind === "ns" && !existsSync(single.path))
        throw new UserError(
          `cannot find specified network namespace path: stat ${single.path}: no such file or directory`,
        );
      return single;
    }
    const { name, options: own } = parseNetworkWord(word);
    const isDefault = ["bridge", "default", "private", ""].includes(name);
    names.set(engine.networks.resolve(isDefault ? engine.networks.defaultNetwork : name), own);
  }
  if (names.size === 0) names.set(engine.networks.resolve(engine.networks.defaultNetwork), { aliases: [] });
  const joins = [...names].map(([network, own]) => ({
    network,
    ifName: own.ifName ?? "",
    ip: options.ip ?? own.ip,
    ip6: options.ip6 ?? own.ip6,
    mac: normalMac(options.macAddress ?? "") ?? own.mac,
    aliases: [...(options.networkAlias ?? []), ...own.aliases],
  }));
  return { kind: "bridge", networks: nameInterfaces(joins) };
}

/** The network of an ordinary user's container that names none. */
function defaultUserMode(engine: Engine): NetworkMode {
  const program = engine.conf.network.default_rootless_network_cmd || "slirp4netns";
  if (program !== "slirp4netns" && program !== "pasta")
    throw new UserError(
      `invalid default_rootless_network_cmd option ${JSON.stringify(program)}: choose slirp4netns or pasta`,
    );
  return userMode(engine, program)!;
}

/** The user-mode network that a word names; undefined where it names something else. */
function userMode(engine: Engine, word: string): NetworkMode | undefined {
  const { engine: engineConf, network } = engine.conf;
  const options = parseUserMode(word, {
    networkCmdOptions: engineConf.network_cmd_options,
    pastaOptions: network.pasta_options,
  });
  return options && { kind: "user-mode", options };
}

/** Ports that are published by options of the mode itself (`pasta:-t,8080:80`). */
export function portsOf(network: NetworkMode): PortMapping[] {
  return network.kind === "user-mode" && network.options.mode === "pasta" ? network.options.ports : [];
}

/** `eth0`, `eth1` and so on for those interfaces that have no name yet, in the order of the networks. */
export function nameInterfaces(joins: readonly NetworkJoin[]): NetworkJoin[] {
  const taken = new Set<string>();
  for (const { ifName } of joins) {
    if (ifName && taken.has(ifName))
      throw new UserError(
        `network interface name ${JSON.stringify(ifName)} is already assigned to another network`,
      );
    taken.add(ifName);
  }
  let number = 0;
  return joins.map(join => {
    if (join.ifName) return join;
    while (taken.has(`eth${number}`)) number++;
    return { ...join, ifName: `eth${number++}` };
  });
}

/** Refuses addresses that are none, or have no network to belong to. */
export function checkAddresses(options: CreateOptions, network: NetworkMode): void {
  for (const [flag, value] of [
    ["--ip", options.ip],
    ["--ip6", options.ip6],
    ["--mac-address", options.macAddress],
  ] as const) {
    if (value === undefined) continue;
    if (flag === "--mac-address" ? !normalMac(value) : !parseIP(value))
      throw new UserError(
        flag === "--mac-address"
          ? `address ${value}: invalid MAC address`
          : `"${value}" is not an ip address`,
      );
    if (network.kind !== "bridge")
      throw new UserError(`${flag} can only be set when the network mode is bridge: invalid argument`);
    if (network.networks.length > 1)
      throw new UserError(`${flag} can only be set for a single network: invalid argument`);
  }
  if (options.networkAlias?.length && network.kind !== "bridge")
    throw new UserError("--network-alias can only be set when the network mode is bridge: invalid argument");
  for (const text of options.addHost ?? []) {
    const colon = text.indexOf(":");
    if (colon < 1) throw new UserError(`bad format for add-host: ${JSON.stringify(text)}`);
    if (!parseIP(text.slice(colon + 1)))
      throw new UserError(`invalid IP address in add-host: ${JSON.stringify(text.slice(colon + 1))}`);
  }
  if (network.kind === "none" && (options.dns || options.dnsSearch || options.dnsOption))
    throw new UserError("conflicting options: dns and the network mode: none");
  if (options.noHosts && options.addHost)
    throw new UserError("--no-hosts and --add-host cannot be set together");
  for (const server of options.dns ?? [])
    if (!parseIP(server) && server !== "none") throw new UserError(`${server} is not an ip address`);
}
