/** Removing containers. The row goes last: until then it tells repair what is still to be removed. */
import { rmSync } from "node:fs";
import { ErrorList, UserError } from "../base/errors.ts";
import { finishRun, hasEnded, recordContainerEvent, teardown } from "./cleanup.ts";
import { type Container, dependencies, statusOf } from "./config.ts";
import type { Engine } from "./engine.ts";
import { stopLocked } from "./stop.ts";

export interface RemoveOptions {
  /** Stops it first if it runs. */
  force?: boolean;
  /** Anonymous volumes too. */
  volumes?: boolean;
  /** Seconds before a forced stop kills; the container's own where nothing is said. */
  time?: number;
  /** It is an infra container, and its pod goes with it. */
  withPod?: boolean;
}

/** Removes a container. Throws in Podman's words where that can't be done. */
export async function removeContainer(
  engine: Engine,
  id: string,
  options: RemoveOptions = {},
): Promise<void> {
  await engine.containers.locked(id, async container => {
    const { pod, infra } = container.config;
    if (infra && !options.withPod && engine.pods.byId(pod!))
      throw new UserError(
        `container ${id} is the infra container of pod ${pod} and cannot be removed without removing the pod`,
        { status: 409 },
      );
    if (container.phase === "running" && hasEnded(engine, container)) await finishRun(engine, container);
    if (container.phase === "initialized") await stopLocked(engine, container, { time: 0 });
    if (container.phase === "running") {
      if (!options.force)
        throw new UserError(
          `cannot remove container ${id} as it is ${statusOf(container)} - running or paused containers cannot be removed without force: container state improper`,
          { exitCode: 2, status: 409 },
        );
      refuseNeeded(engine, container);
      await stopLocked(engine, container, { time: options.time });
    }
    refuseNeeded(engine, container);
    await removeLocked(engine, container, options);
  });
}

/** Ids of the containers that share its namespaces, and of those that share theirs, before what they depend on. */
export function dependents(engine: Engine, id: string): string[] {
  const containers = engine.containers.list();
  const found = new Set<string>();
  const add = (of: string) => {
    for (const { config } of containers)
      if (dependencies(config).includes(of) && !found.has(config.id)) {
        add(config.id);
        found.add(config.id);
      }
  };
  add(id);
  return [...found];
}

/** A container whose namespaces another one shares stays as long as that one. */
function refuseNeeded(engine: Engine, container: Container): void {
  const { id } = container.config;
  const users = engine.containers.list().filter(one => dependencies(one.config).includes(id));
  if (users.length > 0)
    throw new UserError(
      `container ${id} has dependent containers which must be removed before it: ${users.map(one => one.config.id).join(", ")}: container already exists`,
      { status: 409 },
    );
}

/** Removes a container that does not run; the caller holds the lock. Begun again by repair, it ends where it must. */
export async function removeLocked(
  engine: Engine,
  container: Container,
  options: { volumes?: boolean; thorough?: boolean } = {},
): Promise<void> {
  const { config, state } = container;
  // A run that ended well has left nothing; any other may have.
  const clean = container.phase === "exited" || container.phase === "created";
  // Written down, so that repair forgets no volume.
  if (!options.volumes) state.anonymousVolumes = [];
  engine.containers.save(container, "removing");
  const errors = new ErrorList();
  if (!clean) await errors.tryAsync(() => teardown(engine, container, options.thorough));
  errors.try(() => rmSync(engine.paths.container(config.id), { recursive: true, force: true }));
  if (clean) errors.try(() => rmSync(engine.paths.containerRun(config.id), { recursive: true, force: true }));
  errors.throwIfAny(`removing container ${config.id}`);
  for (const volume of state.anonymousVolumes)
    if (!usedElsewhere(engine, config.id, volume)) engine.volumes.remove(volume);
  engine.containers.delete(config.id);
  recordContainerEvent(engine, container, "remove");
}

function usedElsewhere(engine: Engine, id: string, volume: string): boolean {
  return engine.containers
    .list()
    .some(
      one =>
        one.config.id !== id &&
        one.config.mounts.some(mount => mount.kind === "volume" && mount.source === volume),
    );
}
