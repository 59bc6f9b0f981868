/**
 * Starting a container. The row says `starting`, with every name under which something will be made, before anything is
 * made; so a command killed at any instant of this is undone from the row (`repair.ts`).
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../base/errors.ts";
import { mountRootfs } from "../image/mount.ts";
import { MS, mount } from "../sys/mount.ts";
import { bootId } from "../sys/process.ts";
import { finishRun, hasEnded, recordContainerEvent, teardown } from "./cleanup.ts";
import type { Container, ContainerConfig } from "./config.ts";
import { createByConmon } from "./conmon.ts";
import { joinNetworks, makeNamespace, planNetwork, type TakenPorts, takePorts } from "./container-network.ts";
import type { Engine } from "./engine.ts";
import { hasCheck, startHealthTimer } from "./health.ts";
import { chooseRuntime, startInRuntime } from "./runtime.ts";
import { buildSpec } from "./spec.ts";
import { lookupUser } from "./user.ts";
import { chownTree } from "./volume.ts";
import { linkMtab } from "./workdir.ts";

export interface StartOptions {
  /** The caller will await the end and clean up: the exit command is then for the case that the caller dies. */
  attended?: boolean;
  /** Called between the container's making and its first instruction: the place to attach without losing output. */
  created?: (container: Container) => Promise<void> | void;
}

/** Starts a container that does not run; one that does is left as it is. Gives it as it is then. */
export async function startContainer(
  engine: Engine,
  id: string,
  options: StartOptions = {},
): Promise<Container> {
  return engine.containers.locked(id, async container => {
    if (container.phase === "running") {
      if (!hasEnded(engine, container)) return container;
      await finishRun(engine, container);
    }
    container.state.stoppedByUser = false;
    container.state.restartCount = 0;
    await startLocked(engine, container, options);
    return container;
  });
}

/** The same under a lock that the caller holds, for a container in phase `created` or `exited`. */
export async function startLocked(
  engine: Engine,
  container: Container,
  options: StartOptions = {},
): Promise<void> {
  const { config, state } = container;
  if (container.phase !== "created" && container.phase !== "exited")
    throw new UserError(
      `container ${config.id} must be in Created or Stopped state to be started: container state improper`,
    );
  const before = container.phase;
  using taken = await takePorts(engine, container);
  state.runtime = chooseRuntime(engine);
  state.bootId = bootId();
  state.error = "";
  await planNetwork(engine, container, taken.ports);
  engine.containers.save(container, "starting");
  try {
    await putUp(engine, container, taken, options.attended);
    await options.created?.(container);
    recordContainerEvent(engine, container, "init");
    await startInRuntime(engine, container);
  } catch (error) {
    state.error = error instanceof Error ? error.message : String(error);
    await teardown(engine, container, true).finally(() => engine.containers.save(container, before));
    throw error;
  }
  state.startedAt = Date.now();
  state.finishedAt = 0;
  state.exitCode = 0;
  state.oomKilled = false;
  if (hasCheck(config.health)) state.health = { status: "starting", failingStreak: 0, log: [] };
  engine.containers.save(container, "running");
  recordContainerEvent(engine, container, "start");
  startHealthTimer(engine, container);
}

/** Namespace, mounts, network, and the container itself, up to the point where its process waits for the word. */
async function putUp(
  engine: Engine,
  container: Container,
  taken: TakenPorts,
  attended?: boolean,
): Promise<void> {
  const { config, state } = container;
  const directory = engine.paths.container(config.id);
  const run = engine.paths.containerRun(config.id);
  mkdirSync(run, { recursive: true, mode: 0o700 });
  const namespace = makeNamespace(engine, container);
  // Its failure is told once the mounts are there.
  namespace.catch(() => {});
  const rootfs = join(directory, "merged");
  mountRootfs({
    driver: config.storageDriver ?? "overlay",
    lower: config.layers,
    upper: join(directory, "upper"),
    work: join(directory, "work"),
    merged: rootfs,
    volatile: config.remove,
  });
  state.mounted = true;
  linkMtab(rootfs);
  for (const one of config.mounts)
    if (one.kind === "volume") {
      engine.volumes.ensure(one.source);
      engine.volumes.copyUp(one.source, rootfs, one.destination, {
        copy: !one.options.includes("nocopy"),
        user: () => lookupUser(rootfs, config.user),
      });
    }
  if (!/^(none|host|container:.*)$/.test(config.ipcMode)) {
    const shm = join(run, "shm");
    mkdirSync(shm, { recursive: true });
    mount("shm", shm, "tmpfs", MS.NOEXEC | MS.NOSUID | MS.NODEV, `mode=1777,size=${config.limits.shmSize}`);
  }
  // Bound into the container when it is made, filled when its addresses are known.
  for (const name of ["hosts", "resolv.conf"]) writeFileSync(join(run, name), "");
  giveVolumes(engine, config, rootfs);
  writeFileSync(join(directory, "config.json"), JSON.stringify(buildSpec(engine, container, rootfs)));

  await namespace;
  const [made, joined] = await Promise.allSettled([
    createByConmon(engine, container, taken.held, attended),
    joinNetworks(engine, container, taken),
  ]);
  if (joined.status === "rejected") throw joined.reason;
  if (made.status === "rejected") throw made.reason;
  state.pid = made.value.pid;
  state.conmonPid = made.value.conmonPid;
}

/** Volume option `U`: what is mounted becomes the property of the container's user, all of it. */
function giveVolumes(engine: Engine, config: ContainerConfig, rootfs: string): void {
  const given = config.mounts.filter(one => one.kind !== "tmpfs" && one.options.includes("U"));
  if (given.length === 0) return;
  const { uid, gid } = lookupUser(rootfs, config.user);
  for (const one of given)
    chownTree(one.kind === "bind" ? one.source : engine.volumes.directory(one.source), uid, gid);
}
