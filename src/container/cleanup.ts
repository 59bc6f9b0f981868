/**
 * The end of a container's run: what it left in the kernel is taken down, and how it ended is written. Conmon's exit
 * command, a foreground `run`, `stop`, `rm` and `repair` all come here; under the container's lock the first does the
 * work and the others find nothing to do.
 */
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { ErrorList, hasCode } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { unmountRootfs } from "../image/mount.ts";
import { recordEvent } from "../state/events.ts";
import { MNT_DETACH, umount } from "../sys/mount.ts";
import { bootId } from "../sys/process.ts";
import type { Container } from "./config.ts";
import { leaveNetwork } from "./container-network.ts";
import type { Engine } from "./engine.ts";
import {
  callsExitCommand,
  deleteFromRuntime,
  endConmon,
  endHelpers,
  endHolder,
  isConmonOf,
  isRunning,
  removeControlGroups,
} from "./leftovers.ts";
import { isPinned, takeDownPins } from "./pins.ts";

/** One entry in the events, about this container. */
export function recordContainerEvent(
  engine: Engine,
  container: Container,
  status: string,
  more: { exitCode?: number; attributes?: Record<string, string> } = {},
): void {
  const { id, name, imageName, labels } = container.config;
  recordEvent(engine.db, {
    type: "container",
    status,
    id,
    name,
    image: imageName,
    exitCode: more.exitCode,
    attributes: { ...labels, ...more.attributes },
  });
}

/**
 * Takes down all that a start puts up: runtime record, network, namespace, mounts, files of this boot. Goes on after
 * failures, and is quiet about what is gone already. The caller holds the lock. `thorough` also looks for what a killed
 * start may have left unrecorded.
 */
export async function teardown(engine: Engine, container: Container, thorough = false): Promise<void> {
  const { config, state } = container;
  const errors = new ErrorList();
  if (thorough) await errors.tryAsync(() => endHelpers(config.id));
  await Promise.all([
    errors.tryAsync(async () => {
      await deleteFromRuntime(engine, container, thorough);
      if (thorough) await removeControlGroups(container);
    }),
    errors.tryAsync(() => leaveNetwork(engine, container)),
  ]);
  const run = engine.paths.containerRun(config.id);
  errors.try(() => unmount(join(run, "shm")));
  if (isPinned(container)) errors.try(() => takeDownPins(engine, config.id));
  else
    errors.try(() =>
      unmountRootfs(join(engine.paths.container(config.id), "merged"), config.storageDriver ?? "overlay"),
    );
  if (thorough && config.ids)
    await errors.tryAsync(async () => {
      const { unmountLayers } = await import("../image/mapped.ts");
      unmountLayers(join(engine.paths.container(config.id), "merged"));
    });
  errors.try(() => rmSync(run, { recursive: true, force: true }));
  errors.try(() => rmSync(join(engine.paths.exits, config.id), { force: true }));
  if (thorough) errors.try(() => removeHalfWritten(engine.paths.exits, config.id));
  errors.throwIfAny(`can't clean up container ${config.id}`);
  state.mounted = false;
  state.paused = undefined;
  state.pid = 0;
  state.conmonPid = 0;
  state.holder = undefined;
}

/** A conmon that was killed while it wrote the exit code leaves its draft, `<id>.XXXXXX`. */
function removeHalfWritten(exits: string, id: string): void {
  if (!existsSync(exits)) return;
  for (const name of readdirSync(exits))
    if (name.startsWith(`${id}.`)) rmSync(join(exits, name), { force: true });
}

function unmount(target: string): void {
  try {
    umount(target, MNT_DETACH);
  } catch (error) {
    if (!hasCode(error, "EINVAL", "ENOENT")) throw error;
  }
}

/** What conmon wrote about the end; undefined while it has not. */
function exitRecord(engine: Engine, id: string): { code: number; at: number } | undefined {
  const path = join(engine.paths.exits, id);
  try {
    const text = readFileSync(path, "utf8").trim();
    return /^-?\d+$/.test(text) ? { code: Number(text), at: statSync(path).mtimeMs } : undefined;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** The exit code, once conmon has written it. */
export function exitCodeOf(engine: Engine, id: string): number | undefined {
  return exitRecord(engine, id)?.code;
}

const hasProcess = ({ phase }: Container) =>
  phase === "initialized" || phase === "running" || phase === "stopping";

/** True where the run directory is lost, and with it the pins, and nobody is left in what they held. */
const isUnpinned = (engine: Engine, { config }: Container) =>
  !existsSync(engine.paths.containerRun(config.id)) && !engine.containers.ofPod(config.pod!).some(isRunning);

/** True when a container that is recorded as running has in truth ended. */
export function hasEnded(engine: Engine, container: Container): boolean {
  if (isPinned(container)) return container.state.bootId !== bootId() || isUnpinned(engine, container);
  return exitRecord(engine, container.config.id) !== undefined || !isRunning(container);
}

/** Waits until conmon has written the exit code, or is gone without. */
export async function awaitExit(engine: Engine, container: Container): Promise<void> {
  const { id } = container.config;
  while (
    exitRecord(engine, id) === undefined &&
    ((isConmonOf(container.state.conmonPid, id) && !callsExitCommand(container)) || isRunning(container))
  )
    await Bun.sleep(3);
}

/**
 * Writes how a run ended and takes down what it put up: `running → stopping → exited`. The caller holds the lock and
 * knows that the container has ended. `code`: the exit code of one that is no process.
 */
export async function finishRun(
  engine: Engine,
  container: Container,
  { thorough = false, code }: { thorough?: boolean; code?: number } = {},
): Promise<void> {
  const { state } = container;
  const pinned = isPinned(container);
  if (!pinned && hasProcess(container)) await awaitExit(engine, container);
  const end = pinned ? { code: code ?? 0, at: Date.now() } : exitRecord(engine, container.config.id);
  if (container.phase !== "stopping" || state.finishedAt < state.startedAt) {
    // 255 as of a lost process: conmon was killed and nobody knows.
    state.exitCode = end?.code ?? 255;
    state.finishedAt = Math.round(end?.at ?? Date.now());
    state.oomKilled = existsSync(join(engine.paths.container(container.config.id), "oom"));
    engine.containers.save(container, "stopping");
    recordContainerEvent(engine, container, "died", { exitCode: state.exitCode });
  }
  // Its exit command would only find that all is done, and until then it holds the published ports.
  endConmon(container);
  if (pinned) endHolder(container);
  await teardown(engine, container, thorough);
  // With `--rm` the row goes on saying `stopping` until it says `removing`, so that a kill in between leaves nothing.
  if (container.config.remove) container.phase = "exited";
  else engine.containers.save(container, "exited");
  recordContainerEvent(engine, container, "cleanup");
}

/** True when the restart policy wants the container to run again. */
export function wantsRestart(container: Container): boolean {
  const { restart } = container.config;
  const { exitCode, restartCount, stoppedByUser } = container.state;
  if (stoppedByUser || restart.name === "no") return false;
  if (restart.name === "on-failure")
    return exitCode !== 0 && (!restart.maxRetries || restartCount < restart.maxRetries);
  return true;
}

/**
 * What conmon's exit command does, and what whoever saw a container end may do: nothing when it still runs, was cleaned
 * up before, or is gone. Restarts it where its policy says so, removes it where `--rm` did.
 */
export async function cleanupContainer(engine: Engine, id: string): Promise<void> {
  const pod = engine.containers.byId(id)?.config.pod;
  await cleanupOne(engine, id);
  await followExitPolicy(engine, pod);
}

async function cleanupOne(engine: Engine, id: string): Promise<void> {
  if (!engine.containers.byId(id)) return;
  const held = engine.containers.lock(id);
  try {
    const container = engine.containers.byId(id);
    if (!container) return;
    if (hasProcess(container)) {
      if (!hasEnded(engine, container)) return;
      await finishRun(engine, container);
      if (wantsRestart(container)) return await restart(engine, container);
    }
    if (container.phase === "exited" && container.config.remove) {
      const { removeLocked } = await import("./remove.ts");
      await removeLocked(engine, container, { volumes: true });
    }
  } finally {
    held.release();
  }
}

/** Stops the infra container of a pod whose other containers have all ended, where the pod is to end with them. */
export async function followExitPolicy(engine: Engine, pod: string | undefined): Promise<void> {
  const { exitPolicy, infraId } = (pod !== undefined && engine.pods.byId(pod)?.config) || {};
  if (exitPolicy !== "stop" || infraId === undefined) return;
  const isOver = ({ config, phase }: Container) => {
    if (config.id === infraId || phase === "exited") return true;
    // One that was only created counts unless somebody is about to start it.
    using held = phase === "created" ? engine.containers.tryLock(config.id) : undefined;
    return held !== undefined;
  };
  if (!engine.containers.ofPod(pod!).every(isOver)) return;
  // Whoever holds it is starting it again, or ending it as well.
  using held = engine.containers.tryLock(infraId);
  const infra = held && engine.containers.byId(infraId);
  if (!infra) return;
  const { stopLocked } = await import("./stop.ts");
  await stopLocked(engine, infra);
}

async function restart(engine: Engine, container: Container): Promise<void> {
  const { startLocked } = await import("./start.ts");
  // Written with the row that says `starting`: nobody shall take the end of the last run for this one's.
  container.state.restartCount++;
  try {
    await startLocked(engine, container);
  } catch (error) {
    log.error(`restarting container ${container.config.id}: ${(error as Error).message}`);
  }
}
