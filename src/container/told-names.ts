/** Which names of containers are told on networks: what the engine's state has to say about that. */
import { type Named, Names } from "../network/names.ts";
import { type Container, joinsOf } from "./config.ts";
import type { Engine } from "./engine.ts";

/** The names of an engine's containers. */
export function namesOf(engine: Engine): Names {
  return new Names({
    lock: engine.paths.lock("names"),
    open: options => engine.netd(options),
    bind: async addresses => (await engine.networkSetup()).bindResolver(addresses),
    inspect: network => (engine.networks.exists(network) ? engine.networks.inspect(network) : undefined),
    members: network =>
      engine.containers
        .list()
        .filter(one => one.phase === "running")
        .flatMap(container =>
          container.state.attachments
            .filter(one => one.network === network)
            .map(one => [namedOf(container), one] as const),
        ),
  });
}

export function namedOf(container: Container): Named {
  const { id, name } = container.config;
  return { id, name, networks: joinsOf(container).map(one => one.network) };
}
