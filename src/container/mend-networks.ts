/**
 * Networks whose data plane was lost, service and all (the run directory wiped, both of its processes killed): what running
 * containers had there is made anew from the state. Their interfaces, addresses and routes are still in their namespaces.
 */
import { errorText } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { portsKey } from "../network/ports.ts";
import * as netns from "../sys/netns.ts";
import { portCarrier } from "./carry-ports.ts";
import { hasEnded } from "./cleanup.ts";
import { type Container, dependencies, joinsOf } from "./config.ts";
import { joinUserMode, takePorts } from "./container-network.ts";
import type { Engine } from "./engine.ts";
import { isRunning } from "./leftovers.ts";
import { isPinned } from "./pins.ts";
import { isServed } from "./served.ts";
import { namedOf } from "./told-names.ts";

/** Makes anew what `containers`, which are served, have lost. A failure is told, and keeps nobody from the others. */
export async function mendNetworks(engine: Engine, containers: readonly Container[]): Promise<void> {
  const netd = await engine.netd({ start: false });
  const keys = new Set(((await netd?.list()) ?? []).map(one => one.key));
  for (const { config } of containers) {
    using held = engine.containers.tryLock(config.id);
    const container = held && engine.containers.byId(config.id);
    if (!container || !isServed(engine, container) || hasEnded(engine, container)) continue;
    try {
      await mend(engine, container, keys);
    } catch (error) {
      log.warn(
        `the network of container ${config.name} was lost and can't be made anew: ${errorText(error)}`,
      );
    }
  }
}

/** A process in the container's network namespace; where it has none itself, one of another container of its pod. */
function processIn(engine: Engine, container: Container): number {
  if (!isPinned(container)) return container.state.pid;
  const { pod, id } = container.config;
  const others = engine.containers.ofPod(pod!).filter(one => dependencies(one.config).includes(id));
  return others.find(isRunning)?.state.pid ?? 0;
}

async function mend(engine: Engine, container: Container, keys: ReadonlySet<string>): Promise<void> {
  const { config, state } = container;
  const isBridged = engine.user !== undefined && state.attachments.length > 0;
  const carrier = portCarrier(engine, state, joinsOf(container))?.network;
  // A command that was killed at this may have got as far as the tap.
  const lacksPorts =
    state.ports.length > 0 && (state.userMode || carrier) && !keys.has(portsKey(config.id, 0));
  const lost = state.userMode ? !keys.has(config.id) : isBridged && !keys.has("home");
  if (lost || ((state.userMode || isBridged) && lacksPorts)) {
    using taken = await takePorts(engine, container, state.ports);
    // The pin went with the run directory; the container's process holds the namespace.
    const path = netns.isNetns(state.netnsPath)
      ? state.netnsPath
      : `/proc/${processIn(engine, container)}/ns/net`;
    if (state.userMode) await joinUserMode(engine, container, path, taken);
    else {
      const attachment = state.attachments.find(one => one.network === carrier);
      await (await engine.networkSetup()).serveUplink(config.id, attachment, taken.listeners);
    }
  }
  const named = namedOf(container);
  for (const attachment of state.attachments) await engine.names.tellAgain(named, attachment, keys);
}
