/** Deciding which networks a new container joins, and checking what is asked of them. */
import { existsSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import { parseIP } from "../wire/addr.ts";
import type { CreateOptions, NetworkMode } from "./config.ts";
import { sharedContainer } from "./create-namespaces.ts";
import type { Engine } from "./engine.ts";

/** `--network`, one or several; nothing means the default network. */
export function networkMode(engine: Engine, words: readonly string[]): NetworkMode {
  const names: string[] = [];
  for (const word of words.flatMap(one => one.split(","))) {
    const [kind, ...rest] = word.split(":");
    const more = rest.join(":");
    const single: NetworkMode | undefined =
      word === "none"
        ? { kind: "none" }
        : word === "host"
          ? { kind: "host" }
          : kind === "container"
            ? { kind: "container", id: sharedContainer(engine, "net", more).config.id }
            : kind === "ns"
              ? { kind: "ns", path: more }
              : undefined;
    if (single) {
      if (words.length > 1)
        throw new UserError(
          names.length > 0
            ? `can only set extra network names, selected mode ${word} conflicts with bridge: invalid argument`
            : `cannot set multiple networks without bridge network mode, selected mode ${word}: invalid argument`,
        );
      if (single.kind === "ns" && !existsSync(single.path))
        throw new UserError(
          `cannot find specified network namespace path: stat ${single.path}: no such file or directory`,
        );
      return single;
    }
    const name =
      word === "bridge" || word === "default" || word === "private" || word === ""
        ? engine.networks.defaultNetwork
        : word;
    const resolved = engine.networks.resolve(name);
    if (!names.includes(resolved)) names.push(resolved);
  }
  return {
    kind: "bridge",
    networks: names.length > 0 ? names : [engine.networks.resolve(engine.networks.defaultNetwork)],
  };
}

/** Refuses addresses that are none, or have no network to belong to. */
export function checkAddresses(options: CreateOptions, network: NetworkMode): void {
  for (const [flag, value] of [
    ["--ip", options.ip],
    ["--ip6", options.ip6],
    ["--mac-address", options.macAddress],
  ] as const) {
    if (value === undefined) continue;
    if (flag === "--mac-address" ? !/^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(value) : !parseIP(value))
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
