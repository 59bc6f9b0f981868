/** A pod's containers, and what their states make of the pod's. */
import { type Container, statusOf } from "../container/config.ts";
import type { Engine } from "../container/engine.ts";
import type { Pod } from "../container/pod-store.ts";

export interface Members {
  infra?: Container;
  /** All but the infra container, oldest first. */
  others: Container[];
  /** All, the infra container first. */
  all: Container[];
}

export function membersOf(engine: Engine, { config }: Pod): Members {
  return sorted(engine.containers.ofPod(config.id));
}

function sorted(containers: readonly Container[]): Members {
  const infra = containers.find(one => one.config.infra);
  const others = containers.filter(one => !one.config.infra);
  return { infra, others, all: infra ? [infra, ...others] : others };
}

/** The members of every pod, from one list of all containers (newest first). */
export function membersOfAll(containers: readonly Container[]): (pod: Pod) => Members {
  const byPod = new Map<string, Container[]>();
  for (const one of containers) {
    const { pod } = one.config;
    if (pod === undefined) continue;
    const list = byPod.get(pod);
    if (list) list.unshift(one);
    else byPod.set(pod, [one]);
  }
  return ({ config }) => sorted(byPod.get(config.id) ?? []);
}

export const POD_STATES = ["Created", "Running", "Degraded", "Stopped", "Exited", "Paused", "Error"] as const;
export type PodState = (typeof POD_STATES)[number];

/** A pod's state, which is nothing but those of its containers. */
export function podState(containers: readonly Container[]): PodState {
  const count = (...states: string[]) => containers.filter(one => states.includes(statusOf(one))).length;
  const running = count("running", "stopping");
  const ended = count("exited");
  const all = containers.length;
  if (all === 0) return "Created";
  if (running === all) return "Running";
  if (running > 0) return "Degraded";
  if (count("paused") === all) return "Paused";
  if (ended === all) return "Exited";
  if (ended > 0) return "Stopped";
  return count("removing") > 0 ? "Error" : "Created";
}

/** Does `work` to all of them at once; one after the other where networks of their own make them wait for each other. */
export async function inParallel(
  containers: readonly Container[],
  work: (container: Container) => Promise<void>,
): Promise<void> {
  const { length } = containers.filter(({ config }) => config.network.kind === "bridge");
  if (length > 0) for (const one of containers) await work(one);
  else await Promise.all(containers.map(work));
}
