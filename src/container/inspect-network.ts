/** The network part of what `inspect` tells of a container. */
import { type Container, joinsOf, type NetworkAttachment, type PortMapping, publishes } from "./config.ts";

const addresses = (one: NetworkAttachment | undefined) => ({
  EndpointID: "",
  Gateway: one?.gateway ?? "",
  IPAddress: one?.ipv4 ?? "",
  IPPrefixLen: one?.ipv4Prefix ?? 0,
  IPv6Gateway: one?.ipv6Gateway ?? "",
  GlobalIPv6Address: one?.ipv6 ?? "",
  GlobalIPv6PrefixLen: one?.ipv6Prefix ?? 0,
  MacAddress: one?.mac ?? "",
});

/** A record as Go writes a map: sorted by key. */
export const inOrder = <T>(record: Record<string, T>): Record<string, T> =>
  Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));

/**
 * `NetworkSettings` of a container with a network of its own. The addresses outside `Networks` are those on the default
 * network, for readers who know of no other.
 */
export function networkSettings(container: Container, defaultNetwork: string): object {
  const { config, state } = container;
  const joined = joinsOf(container);
  const on = (network: string) => state.attachments.find(one => one.network === network);
  return {
    ...addresses(joined.some(one => one.network === defaultNetwork) ? on(defaultNetwork) : undefined),
    Bridge: "",
    SandboxID: "",
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    Ports: inOrder({
      ...(publishes(config.network)
        ? Object.fromEntries(config.exposed.map(port => [port, null]))
        : undefined),
      ...portBindings(container),
    }),
    SandboxKey: state.netnsPath,
    Networks:
      joined.length === 0
        ? undefined
        : Object.fromEntries(
            joined
              .toSorted((a, b) => (a.network < b.network ? -1 : 1))
              .map(({ network, aliases }) => [
                network,
                {
                  ...addresses(on(network)),
                  NetworkID: network,
                  DriverOpts: null,
                  IPAMConfig: null,
                  Links: null,
                  Aliases: aliases,
                },
              ]),
          ),
  };
}

/** Published ports by container port: `{"80/tcp": [{HostIp, HostPort}]}`; those chosen at the start, once it was started. */
export function portBindings({
  config,
  state,
}: Container): Record<string, { HostIp: string; HostPort: string }[]> {
  const ports: readonly PortMapping[] = state.ports.length > 0 ? state.ports : config.ports;
  const all: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const { hostIp, hostPort, containerPort, protocol, range } of ports)
    for (let i = 0; i < range; i++) {
      const key = `${containerPort + i}/${protocol}`;
      const list = all[key] ?? [];
      all[key] = list;
      list.push({ HostIp: hostIp, HostPort: String(hostPort === 0 ? 0 : hostPort + i) });
    }
  return inOrder(all);
}
