/** Freezing a container's processes, and letting them go on: the runtime does it, by the freezer of control groups. */
import { UserError } from "../base/errors.ts";
import { cgroupManager, isUnified } from "./cgroups.ts";
import { hasEnded, recordContainerEvent } from "./cleanup.ts";
import { type Container, statusOf } from "./config.ts";
import type { Engine } from "./engine.ts";
import { isPinned } from "./pins.ts";
import { callRuntime } from "./runtime.ts";

/** Freezes a running container. */
export async function pauseContainer(engine: Engine, id: string): Promise<void> {
  if (cgroupManager(engine) === "none")
    throw new UserError(
      isUnified()
        ? "cannot pause without using Cgroups: this container does not have a cgroup"
        : "can not pause containers on rootless containers with cgroup V1: this container does not have a cgroup",
      { status: 409 },
    );
  await engine.containers.locked(id, async container => {
    if (container.state.paused)
      throw new UserError(`${JSON.stringify(id)} is already paused: container state improper`, {
        status: 409,
      });
    if (container.phase !== "running" || hasEnded(engine, container))
      throw new UserError(
        `${JSON.stringify(statusOf(container))} is not running, can't pause: container state improper`,
        { status: 409 },
      );
    // Written first: a container that is taken for paused and is not can be unpaused, the reverse can't.
    container.state.paused = true;
    engine.containers.save(container);
    try {
      if (!isPinned(container)) await callRuntime(engine, container, "pause");
    } catch (error) {
      container.state.paused = undefined;
      engine.containers.save(container);
      throw error;
    }
    recordContainerEvent(engine, container, "pause");
  });
}

/** Lets the processes of a paused container go on. */
export async function unpauseContainer(engine: Engine, id: string): Promise<void> {
  await engine.containers.locked(id, async container => {
    if (!container.state.paused)
      throw new UserError(`${JSON.stringify(id)} is not paused, can't unpause: container state improper`, {
        status: 409,
      });
    await resume(engine, container);
    container.state.paused = undefined;
    engine.containers.save(container);
    recordContainerEvent(engine, container, "unpause");
  });
}

/** Thaws it, whatever its state says; quiet where it is not frozen. */
export async function resume(engine: Engine, container: Container): Promise<void> {
  if (isPinned(container)) return;
  try {
    await callRuntime(engine, container, "resume");
  } catch (error) {
    if (!/not paused|cannot be resumed|does not exist/.test((error as Error).message)) throw error;
  }
}
