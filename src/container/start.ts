/**
 * Starting a container. The row says `starting`, with every name under which something will be made, before anything is
 * made; so a command killed at any instant of this is undone from the row (`repair.ts`).
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorText, UserError } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { bootId, startTime } from "../sys/process.ts";
import { finishRun, hasEnded, recordContainerEvent, teardown } from "./cleanup.ts";
import type { Container, ContainerConfig, Phase } from "./config.ts";
import { createByConmon } from "./conmon.ts";
import {
  adoptNamespace,
  joinNetworks,
  makeNamespace,
  planNetwork,
  type TakenPorts,
  takePorts,
} from "./container-network.ts";
import type { Engine } from "./engine.ts";
import { hasCheck, startHealthTimer } from "./health.ts";
import { giveFiles, openWay, ownerOf } from "./owner.ts";
import { isPinned, mountShm, putUpPins } from "./pins.ts";
import { fillVolumes, putUpRootfs, userOf } from "./rootfs.ts";
import { chooseRuntime, startInRuntime } from "./runtime.ts";
import { buildSpec } from "./spec.ts";
import { OWN_FILES } from "./spec-mounts.ts";
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
    if (container.state.paused)
      throw new UserError(
        `unable to start container ${JSON.stringify(id)}: ${mustBeStopped(container).message}`,
        { status: 409 },
      );
    await startIdle(engine, container, options);
    return container;
  });
}

const mustBeStopped = ({ config }: Container) =>
  new UserError(
    `container ${config.id} must be in Created or Stopped state to be started: container state improper`,
  );

/** Makes the container in the runtime, with its mounts and network, up to its first instruction (`init`). */
export async function initContainer(engine: Engine, id: string): Promise<void> {
  await engine.containers.locked(id, async container => {
    if (container.phase !== "created" && container.phase !== "exited")
      throw new UserError(`container ${id} has already been created in runtime: container state improper`, {
        status: 409,
      });
    container.state.stoppedByUser = false;
    container.state.restartCount = 0;
    await makeLocked(engine, container);
    engine.containers.save(container, "initialized");
  });
}

/** The same under a lock that the caller holds. */
async function startIdle(engine: Engine, container: Container, options: StartOptions = {}): Promise<void> {
  if (container.phase === "running") {
    if (!hasEnded(engine, container)) return;
    await finishRun(engine, container);
  }
  container.state.stoppedByUser = false;
  container.state.restartCount = 0;
  await startLocked(engine, container, options);
}

/** For a container in phase `created`, `initialized` or `exited`, whose lock the caller holds. */
export async function startLocked(
  engine: Engine,
  container: Container,
  options: StartOptions = {},
): Promise<void> {
  const { config, state } = container;
  // There is nobody to start in one that is pins alone.
  const begin = async () => {
    if (!isPinned(container)) await startInRuntime(engine, container);
  };
  if (container.phase === "initialized") {
    engine.containers.save(container, "starting");
    await orUndo(engine, container, "created", async () => {
      await options.created?.(container);
      await begin();
    });
  } else await makeLocked(engine, container, options, begin);
  state.startedAt = Date.now();
  state.finishedAt = 0;
  state.exitCode = 0;
  state.oomKilled = false;
  if (hasCheck(config.health)) state.health = { status: "starting", failingStreak: 0, log: [] };
  engine.containers.save(container, "running");
  recordContainerEvent(engine, container, "start");
  startHealthTimer(engine, container);
}

/** Starts the infra container of the pod that another one is in, if that does not run. */
async function startInfra(engine: Engine, { pod, infra }: ContainerConfig): Promise<void> {
  const id = pod !== undefined && !infra ? engine.pods.byId(pod)?.config.infraId : undefined;
  const current = id === undefined ? undefined : engine.containers.byId(id);
  if (id === undefined || (current?.phase === "running" && !hasEnded(engine, current))) return;
  // Not waited for by the kernel's queue: this very process may be starting it, for another container of the pod.
  let held = engine.containers.tryLock(id);
  while (!held) {
    await Bun.sleep(2);
    held = engine.containers.tryLock(id);
  }
  try {
    const infraContainer = engine.containers.byId(id);
    if (infraContainer) await startIdle(engine, infraContainer);
  } finally {
    held.release();
  }
}

/** An infra container brings its pod's limits. */
async function limitOwnPod(engine: Engine, { pod, infra }: ContainerConfig): Promise<void> {
  const config = infra && engine.pods.byId(pod!)?.config;
  if (config && Object.values(config.limits).some(Boolean))
    (await import("./pod-limits.ts")).limitPod(config);
}

/** Does `action` to a container in phase `starting`; if it throws, the container is brought back to the phase `before`. */
async function orUndo(
  engine: Engine,
  container: Container,
  before: Phase,
  action: () => Promise<void>,
): Promise<void> {
  try {
    await action();
  } catch (error) {
    container.state.error = error instanceof Error ? error.message : String(error);
    // What went wrong first is what the person must hear of.
    await teardown(engine, container, true)
      .catch(later => log.debug(errorText(later)))
      .finally(() => engine.containers.save(container, before));
    throw error;
  }
}

/** Makes the container in the runtime; `then` follows while its failure still undoes all of it. */
async function makeLocked(
  engine: Engine,
  container: Container,
  options: StartOptions = {},
  then?: () => Promise<void>,
): Promise<void> {
  const { state } = container;
  if (container.phase !== "created" && container.phase !== "exited") throw mustBeStopped(container);
  await startInfra(engine, container.config);
  const before = container.phase;
  const pinned = isPinned(container);
  using taken = await takePorts(engine, container);
  state.runtime = pinned ? "" : chooseRuntime(engine);
  state.bootId = bootId();
  state.error = "";
  await planNetwork(engine, container, taken.ports);
  engine.containers.save(container, "starting");
  await orUndo(engine, container, before, async () => {
    await limitOwnPod(engine, container.config);
    if (pinned) await putUpPins(engine, container, taken);
    else await putUp(engine, container, taken, options.attended);
    await options.created?.(container);
    recordContainerEvent(engine, container, "init");
    await then?.();
  });
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
  // Loaded before both: a helper then makes the namespace while this thread makes the files.
  if (state.netnsPath !== "") await engine.networkSetup();
  // Both come to an end before anything goes on, or is undone.
  const [made, filled] = await Promise.allSettled([
    makeNamespace(engine, container),
    putUpFiles(engine, container, directory, run),
  ]);
  if (filled.status === "rejected") throw filled.reason;
  if (made.status === "rejected") throw made.reason;
  const create = async () => {
    Object.assign(state, await createByConmon(engine, container, taken.held, attended));
    state.pidStart = startTime(state.pid);
  };
  if (config.ids) {
    await create();
    adoptNamespace(container, state.pid);
    await joinNetworks(engine, container, taken);
    return;
  }
  const [created, joined] = await Promise.allSettled([create(), joinNetworks(engine, container, taken)]);
  if (joined.status === "rejected") throw joined.reason;
  if (created.status === "rejected") throw created.reason;
}

/** The root file system, and whatever is mounted or bound into the container. */
async function putUpFiles(
  engine: Engine,
  container: Container,
  directory: string,
  run: string,
): Promise<void> {
  const { config, state } = container;
  openWay(directory, config);
  const rootfs = await putUpRootfs(engine, config);
  state.mounted = true;
  linkMtab(rootfs, config);
  fillVolumes(engine, config, rootfs);
  if (!/^(none|host|container:.*)$/.test(config.ipcMode)) mountShm(engine, config, ownerOf(config));
  // Bound into the container when it is made, filled when its addresses are known.
  for (const name of ["hosts", "resolv.conf"]) writeFileSync(join(run, name), "");
  giveVolumes(engine, config, rootfs);
  writeFileSync(join(directory, "config.json"), JSON.stringify(buildSpec(engine, container, rootfs)));
  giveFiles(run, config, OWN_FILES);
}

/** Volume option `U`: what is mounted becomes the property of the container's user, all of it. */
function giveVolumes(engine: Engine, config: ContainerConfig, rootfs: string): void {
  const given = config.mounts.filter(one => one.kind !== "tmpfs" && one.options.includes("U"));
  if (given.length === 0) return;
  const { uid, gid } = userOf(config, rootfs);
  for (const one of given)
    chownTree(one.kind === "bind" ? one.source : engine.volumes.directory(one.source), uid, gid);
}
