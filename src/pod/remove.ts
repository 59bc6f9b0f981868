/** Removing pods with all that is in them, by request and after commands that died. */
import { existsSync, globSync, rmdirSync } from "node:fs";
import { basename } from "node:path";
import { ErrorList, errorText, hasCode, UserError } from "../base/errors.ts";
import { log } from "../base/log.ts";
import type { Engine } from "../container/engine.ts";
import type { Pod } from "../container/pod-store.ts";
import { removeContainer } from "../container/remove.ts";
import { recordPodEvent } from "./events.ts";
import { inParallel, membersOf } from "./members.ts";

export interface RemovePodOptions {
  /** Stops what runs in it first. */
  force?: boolean;
  /** Seconds before a forced stop kills. */
  time?: number;
}

/** Removes a pod and its containers. One with a container that runs stays whole unless `force` is given. */
export async function removePod(engine: Engine, id: string, options: RemovePodOptions = {}): Promise<void> {
  const held = engine.pods.lock(id);
  try {
    const pod = engine.pods.byId(id);
    if (!pod) throw new UserError(`no pod with name or ID ${id} found: no such pod`, { status: 404 });
    const running = membersOf(engine, pod).others.find(
      one => one.phase === "running" || one.phase === "stopping",
    );
    if (running && !options.force)
      throw new UserError(
        `removing container ${running.config.id} from pod ${id}: cannot remove container ${running.config.id} as it is running - running or paused containers cannot be removed without force: container state improper`,
        { status: 409 },
      );
    await removeLocked(engine, pod, options);
  } finally {
    held.release();
  }
}

/** The same for a pod whose lock the caller holds, whatever runs in it. From here on nobody can put a container into it. */
export async function removeLocked(
  engine: Engine,
  pod: Pod,
  { time }: Pick<RemovePodOptions, "time"> = {},
): Promise<void> {
  engine.pods.save(pod, "removing");
  const { others, infra } = membersOf(engine, pod);
  const errors = new ErrorList();
  const remove = (id: string) =>
    errors.tryAsync(async () => {
      try {
        await removeContainer(engine, id, { force: true, volumes: true, withPod: true, time });
      } catch (error) {
        // One with --rm may have gone by itself.
        if (!(error instanceof UserError) || error.status !== 404) throw error;
      }
    });
  await inParallel(others, one => remove(one.config.id));
  errors.throwIfAny(`removing pod ${pod.config.id}`);
  if (infra) await remove(infra.config.id);
  errors.try(() => removeGroup(pod.config.cgroup));
  errors.throwIfAny(`removing pod ${pod.config.id}`);
  engine.pods.delete(pod.config.id);
  recordPodEvent(engine, pod, "remove");
}

/** Removes the control group that the pod's containers had in common, wherever it is. */
function removeGroup(cgroup: string): void {
  if (cgroup === "") return;
  const name = basename(cgroup);
  for (const group of [
    ...globSync(`/sys/fs/cgroup{,/*}${cgroup}`),
    ...globSync(`/sys/fs/cgroup/*/*/${name}`),
  ])
    try {
      if (existsSync(group)) rmdirSync(group);
    } catch (error) {
      if (!hasCode(error, "ENOENT")) throw error;
    }
}

/** Ends what killed commands left of pods: a half-made or half-removed one is removed. */
export async function repairPods(engine: Engine): Promise<void> {
  for (const id of engine.pods.unsettled()) {
    using held = engine.pods.tryLock(id);
    const pod = held && engine.pods.byId(id);
    if (!pod || pod.phase === "ready") continue;
    try {
      await removeLocked(engine, pod, { time: 0 });
    } catch (error) {
      log.warn(`pod ${id} was left unfinished and can't be repaired now: ${errorText(error)}`);
    }
  }
}
