/** Whether an answer finds its way: a container needs a route to who has called. Pure. */

import type { NamespaceView } from "../network/namespace-view.ts";
import { type Stop, stop, type Walker } from "./walker.ts";
import { INTERNET, isInternet, isLoopback, routeTo } from "./world.ts";

/** The refusal where there is none. */
export function wayBack({ world, packet }: Walker, view: NamespaceView): Stop | undefined {
  const { source, place, arrivedBy } = packet;
  if (arrivedBy === "" || place === "host" || place === "home" || source === "" || isLoopback(source))
    return undefined;
  if (routeTo(view, source)) return undefined;
  const owner = world.ownerOf(place);
  const closed = owner?.networks.find(name =>
    world.facts.networks.some(network => network.name === name && network.internal),
  );
  const caller = isInternet(source) ? "a caller from outside" : source;
  return stop(
    "no-way-back",
    `${world.nameOf(place)} has no route back to ${caller}${closed ? `: ${closed} is internal` : ""}`,
    ...(source === INTERNET[6] ? ["use an IPv4 address"] : []),
  );
}
