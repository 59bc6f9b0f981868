/** Which of a container's networks its published ports lead to. */
import type { ContainerState, NetworkJoin } from "./config.ts";
import type { Engine } from "./engine.ts";

/**
 * The first network by which the host can reach the container: not an internal one, and none but a bridge; the first of
 * all where there is no such. Undefined for a container without ports or without networks.
 */
export function portCarrier<T extends Pick<NetworkJoin, "network">>(
  engine: Engine,
  state: Pick<ContainerState, "ports">,
  joins: readonly T[],
): T | undefined {
  if (state.ports.length === 0) return undefined;
  const leads = ({ network }: T) => {
    const info = engine.networks.exists(network) ? engine.networks.inspect(network) : undefined;
    return info?.driver === "bridge" && !info.internal;
  };
  return (joins.length > 1 ? joins.find(leads) : undefined) ?? joins[0];
}
