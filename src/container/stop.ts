/** Ending a container's run: `stop`, `kill`, `restart`. */
import { hasCode, UserError } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { SIGNALS, signalName } from "../sys/process.ts";
import { finishRun, followExitPolicy, hasEnded, recordContainerEvent } from "./cleanup.ts";
import { type Container, statusOf } from "./config.ts";
import type { Engine } from "./engine.ts";
import { isRunning } from "./leftovers.ts";
import { isPinned } from "./pins.ts";

const SIGKILL = 9;

/** Sends a signal to the first process; quiet when it has just ended. */
function signal(container: Container, number: number): void {
  if (!isRunning(container)) return;
  try {
    process.kill(container.state.pid, number);
  } catch (error) {
    if (!hasCode(error, "ESRCH")) throw error;
  }
}

/** Frozen processes of control groups version 1 die only when they go on. */
async function thaw(engine: Engine, container: Container): Promise<void> {
  if (!container.state.paused) return;
  container.state.paused = undefined;
  engine.containers.save(container);
  const { resume } = await import("./pause.ts");
  await resume(engine, container);
}

export interface StopOptions {
  /** Seconds until it is killed; the container's own where nothing is said. */
  time?: number;
}

/** Stops a container and cleans up after it; one that does not run is left as it is. `--rm` removes it too. */
export async function stopContainer(engine: Engine, id: string, options: StopOptions = {}): Promise<void> {
  let pod: string | undefined;
  await engine.containers.locked(id, async container => {
    if (container.state.paused)
      throw new UserError(
        `container ${id} is running or paused, refusing to clean up: container state improper`,
        { status: 409 },
      );
    pod = container.config.pod;
    await stopLocked(engine, container, options);
    if (container.phase === "exited" && container.config.remove) {
      const { removeLocked } = await import("./remove.ts");
      await removeLocked(engine, container, { volumes: true });
    }
  });
  await followExitPolicy(engine, pod);
}

/** The same under a lock that the caller holds; ends in phase `exited`. */
export async function stopLocked(
  engine: Engine,
  container: Container,
  options: StopOptions = {},
): Promise<void> {
  if (!["initialized", "running", "stopping"].includes(container.phase)) return;
  const { config, state } = container;
  state.stoppedByUser = true;
  engine.containers.save(container);
  const seconds = options.time ?? config.stopTimeout;
  if (isPinned(container)) {
    await finishRun(engine, container, { code: seconds > 0 ? 0 : 128 + SIGKILL });
    recordContainerEvent(engine, container, "stop");
    return;
  }
  if (!hasEnded(engine, container)) {
    if (seconds > 0 && !state.paused) {
      signal(container, config.stopSignal);
      const deadline = performance.now() + seconds * 1000;
      while (isRunning(container) && performance.now() < deadline) await Bun.sleep(3);
      if (isRunning(container))
        log.warn(
          `StopSignal ${signalName(config.stopSignal)} failed to stop container ${config.name} in ${seconds} seconds, resorting to SIGKILL`,
        );
    }
    signal(container, SIGKILL);
    await thaw(engine, container);
    while (isRunning(container)) await Bun.sleep(3);
  }
  await finishRun(engine, container);
  recordContainerEvent(engine, container, "stop");
}

/** Sends a signal to a running container. */
export async function killContainer(engine: Engine, id: string, number: number = SIGKILL): Promise<void> {
  await engine.containers.locked(id, async container => {
    if (container.phase !== "running" || hasEnded(engine, container))
      throw new UserError(
        `can only kill running containers. ${id} is in state ${statusOf(container)}: container state improper`,
        { status: 409 },
      );
    container.state.stoppedByUser = true;
    engine.containers.save(container);
    if (!isPinned(container)) signal(container, number);
    // What a pause process does with signals.
    else if ([SIGNALS.KILL, SIGNALS.TERM, SIGNALS.INT].includes(number))
      await finishRun(engine, container, { code: number === SIGKILL ? 128 + SIGKILL : 0 });
    if (number === SIGKILL) await thaw(engine, container);
    recordContainerEvent(engine, container, "kill", { attributes: { signal: String(number) } });
  });
}

/** Stops it if it runs, and starts it. */
export async function restartContainer(engine: Engine, id: string, options: StopOptions = {}): Promise<void> {
  const { startLocked } = await import("./start.ts");
  await engine.containers.locked(id, async container => {
    if (container.state.paused)
      throw new UserError(
        "unable to restart a container in a paused or unknown state: container state improper",
        { status: 409 },
      );
    if (container.phase !== "initialized") await stopLocked(engine, container, options);
    // From here on its restart policy counts again.
    container.state.stoppedByUser = false;
    container.state.restartCount = 0;
    await startLocked(engine, container);
    recordContainerEvent(engine, container, "restart");
  });
}
