/**
 * Ends what killed commands left unfinished. A container in a passing phase whose lock is free was left by a command
 * that died: a half-made one is unmade, a half-started one is brought back to where it was, a half-removed one is
 * removed. One that is recorded as running but is not (its conmon died with its exit command, or the machine was started
 * anew) is cleaned up.
 */
import { errorText } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { bootId } from "../sys/process.ts";
import { finishRun, hasEnded, recordContainerEvent, teardown, wantsRestart } from "./cleanup.ts";
import { type Container, isUnsettled, type Phase } from "./config.ts";
import type { Engine } from "./engine.ts";
import { isRunning } from "./leftovers.ts";
import { isPinned } from "./pins.ts";
import { removeLocked } from "./remove.ts";
import { isLost, isServed } from "./served.ts";

export async function repair(
  engine: Engine,
  unsettled: readonly { id: string; phase: Phase }[],
): Promise<void> {
  const served: Container[] = [];
  for (const { id, phase } of unsettled) {
    if (phase === "running" || phase === "initialized") {
      const container = engine.containers.byId(id);
      if (container && isServed(engine, container)) served.push(container);
      if (!container || isWell(engine, container)) continue;
    }
    const held = engine.containers.tryLock(id);
    if (!held) continue;
    try {
      const container = engine.containers.byId(id);
      if (container) await repairOne(engine, container);
    } catch (error) {
      // It must not keep people from their other containers.
      log.warn(`container ${id} was left unfinished and can't be repaired now: ${errorText(error)}`);
    } finally {
      held.release();
    }
  }
  if (served.length === 0) return;
  const { mendNetworks } = await import("./mend-networks.ts");
  await mendNetworks(engine, served);
}

/** True when there is something to repair, and nobody at it. */
export function needsRepair(engine: Engine, { id, phase }: { id: string; phase: Phase }): boolean {
  const container = engine.containers.byId(id);
  if (!container) return false;
  if ((phase === "running" || phase === "initialized") && isWell(engine, container))
    return isServed(engine, container) && isLost(engine);
  const held = engine.containers.tryLock(id);
  held?.release();
  return held !== undefined;
}

const isWell = (engine: Engine, container: Container) =>
  container.state.bootId === bootId() && !hasEnded(engine, container) && !isUnsettled(container);

async function repairOne(engine: Engine, container: Container): Promise<void> {
  switch (container.phase) {
    case "creating":
      return removeLocked(engine, container, { volumes: true });
    case "removing":
      return removeLocked(engine, container, { volumes: true, thorough: true });
    case "starting":
      return undoStart(engine, container);
    case "initialized":
    case "running":
      if (isWell(engine, container)) return;
      if (container.state.bootId === bootId() && !hasEnded(engine, container)) {
        const { settleNetworks } = await import("./connect.ts");
        return settleNetworks(engine, container);
      }
      return endRun(engine, container);
    case "stopping":
      // The command that was stopping it died before the container did.
      if (container.state.bootId === bootId() && isRunning(container) && !isPinned(container))
        return engine.containers.save(container, "running");
      return endRun(engine, container);
  }
}

async function undoStart(engine: Engine, container: Container): Promise<void> {
  await teardown(engine, container, true);
  if (container.config.remove) return removeLocked(engine, container, { volumes: true });
  engine.containers.save(container, container.state.startedAt > 0 ? "exited" : "created");
}

async function endRun(engine: Engine, container: Container): Promise<void> {
  if (container.state.bootId === bootId()) await finishRun(engine, container, { thorough: true });
  else {
    // The boot took processes, mounts and namespaces; addresses are kept in files and must be given back.
    await teardown(engine, container);
    container.state.finishedAt = Math.max(container.state.finishedAt, container.state.startedAt);
    engine.containers.save(container, container.state.startedAt > 0 ? "exited" : "created");
    recordContainerEvent(engine, container, "cleanup");
  }
  if (container.config.remove) return removeLocked(engine, container, { volumes: true });
  if (container.state.bootId === bootId() && wantsRestart(container)) {
    const { startLocked } = await import("./start.ts");
    container.state.restartCount++;
    await startLocked(engine, container);
  }
}
