/** Starting and ending pods: the infra container first and last, the others at once. */
import { ErrorList, UserError } from "../base/errors.ts";
import { awaitExit, cleanupContainer } from "../container/cleanup.ts";
import { type Container, statusOf } from "../container/config.ts";
import type { Engine } from "../container/engine.ts";
import { pauseContainer, unpauseContainer } from "../container/pause.ts";
import type { Pod } from "../container/pod-store.ts";
import { startContainer } from "../container/start.ts";
import { killContainer, stopContainer } from "../container/stop.ts";
import { SIGNALS } from "../sys/process.ts";
import { recordPodEvent } from "./events.ts";
import { inParallel, membersOf } from "./members.ts";

const runs = ({ phase }: Container) => phase === "running" || phase === "stopping";

/** Does `work` to each; what fails keeps nobody from the others, and is told at the end. */
async function each(
  containers: readonly Container[],
  what: string,
  work: (id: string) => Promise<unknown>,
): Promise<void> {
  const errors = new ErrorList();
  await inParallel(containers, ({ config }) =>
    errors.tryAsync(async () => {
      try {
        await work(config.id);
      } catch (error) {
        // One with --rm may have gone meanwhile.
        if (!(error instanceof UserError) || error.status !== 404) throw error;
      }
    }),
  );
  errors.throwIfAny(what);
}

/** Starts all of a pod's containers that don't run. */
export async function startPod(engine: Engine, pod: Pod): Promise<void> {
  const { id } = pod.config;
  const { infra, others, all } = membersOf(engine, pod);
  if (all.length === 0)
    throw new UserError(
      `no containers in pod ${id} have no dependencies, cannot start pod: no such container`,
    );
  const start = (one: string) => startContainer(engine, one);
  if (infra) await each([infra], `starting container ${infra.config.id}`, start);
  await each(
    others.filter(one => !runs(one)),
    `starting pod ${id}`,
    start,
  );
  recordPodEvent(engine, pod, "start");
}

/** Stops all of a pod's containers that run. */
export async function stopPod(engine: Engine, pod: Pod, options: { time?: number } = {}): Promise<void> {
  const { infra, others } = membersOf(engine, pod);
  const stop = (one: string) => stopContainer(engine, one, options);
  await each(others.filter(runs), `stopping pod ${pod.config.id}`, stop);
  if (infra && runs(infra)) await stop(infra.config.id);
  recordPodEvent(engine, pod, "stop");
}

/** Sends a signal to all of a pod's containers that run; those that it kills for certain have ended then. */
export async function killPod(engine: Engine, pod: Pod, signal: number): Promise<void> {
  const { infra, others } = membersOf(engine, pod);
  const kill = async (one: string) => {
    await killContainer(engine, one, signal);
    const container = engine.containers.byId(one);
    if (signal !== SIGNALS.KILL || container?.phase !== "running") return;
    await awaitExit(engine, container);
    await cleanupContainer(engine, one);
  };
  await each(others.filter(runs), `killing pod ${pod.config.id}`, kill);
  if (infra && runs(infra)) await kill(infra.config.id);
  recordPodEvent(engine, pod, "kill");
}

/** Freezes all of a pod's containers that run. */
export async function pausePod(engine: Engine, pod: Pod): Promise<void> {
  const running = membersOf(engine, pod).all.filter(one => statusOf(one) === "running");
  await each(running, `pausing pod ${pod.config.id}`, one => pauseContainer(engine, one));
  recordPodEvent(engine, pod, "pause");
}

/** Lets all of a pod's paused containers go on. */
export async function unpausePod(engine: Engine, pod: Pod): Promise<void> {
  const paused = membersOf(engine, pod).all.filter(one => statusOf(one) === "paused");
  await each(paused, `unpausing pod ${pod.config.id}`, one => unpauseContainer(engine, one));
  recordPodEvent(engine, pod, "unpause");
}

export async function restartPod(engine: Engine, pod: Pod): Promise<void> {
  await stopPod(engine, pod);
  await startPod(engine, pod);
}
