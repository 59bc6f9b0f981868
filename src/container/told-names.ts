/** Which names of containers are told on networks: what the engine's state has to say about that. */
import { NameBook } from "../cni/name-book.ts";
import { type Named, Names } from "../netd/told-names.ts";
import { contains, parseCidr, parseIP } from "../wire/addr.ts";
import { type Container, joinsOf } from "./config.ts";
import type { Engine } from "./engine.ts";

/** The names of an engine's containers. */
export function namesOf(engine: Engine): Names {
  return new Names({
    lock: engine.paths.lock("names"),
    open: options => engine.netd(options),
    bind: async addresses => (await engine.networkSetup()).bindResolver(addresses),
    inspect: network => (engine.networks.exists(network) ? engine.networks.inspect(network) : undefined),
    members: network => [
      ...engine.containers
        .list()
        .filter(one => one.phase === "running" || one.phase === "initialized")
        .flatMap(container =>
          container.state.attachments
            .filter(one => one.network === network)
            .map(one => [namedOf(container), one] as const),
        ),
      // Those of other engines, whose plugin has no moment of its own to tell them again.
      ...new NameBook(engine.paths.runRoot).members(network),
    ],
  });
}

export function namedOf(container: Container): Named {
  const { id, name } = container.config;
  const networks = joinsOf(container).map(one => one.network);
  return { id, name, networks, resolvers: resolversBehind(container) };
}

/**
 * The resolvers of `--dns`, where the network's own resolver asks them on the container's behalf: it knows the names of
 * containers besides. None where one of them can be reached by the container alone: its own loopback, its networks.
 */
export function resolversBehind({ config, state }: Container): readonly string[] {
  const tells = state.attachments.some(({ dns, gateway, ipv6Gateway }) =>
    dns.nameservers.some(one => one === gateway || one === ipv6Gateway),
  );
  const subnets = state.attachments.flatMap(({ ipv4, ipv4Prefix, ipv6, ipv6Prefix }) =>
    [...(ipv4 ? [`${ipv4}/${ipv4Prefix}`] : []), ...(ipv6 ? [`${ipv6}/${ipv6Prefix}`] : []), ...LOOPBACK].map(
      one => parseCidr(one)!,
    ),
  );
  const isNear = (server: string) => {
    const ip = parseIP(server);
    return !ip || subnets.some(one => contains(one, ip));
  };
  return tells && !config.dns.some(isNear) ? config.dns : [];
}

const LOOPBACK = ["127.0.0.0/8", "::1/128"];
