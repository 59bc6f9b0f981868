/** Making and starting what a file asks for; a failure takes back all of it. */
import { UserError } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { hasController } from "../container/cgroups.ts";
import { type CreateContext, createContainer } from "../container/create.ts";
import type { CreateOptions } from "../container/create-options.ts";
import type { Engine } from "../container/engine.ts";
import { removeNetwork } from "../container/networks.ts";
import { removeContainer } from "../container/remove.ts";
import { startContainer, startLocked } from "../container/start.ts";
import { waitContainer } from "../container/wait.ts";
import { createPod } from "../pod/create.ts";
import { removePod } from "../pod/remove.ts";
import { startPod } from "../pod/run.ts";
import type { ContainerPlan } from "./container.ts";
import type { KubeFile } from "./file.ts";
import { ensureVolume, makeVolumes } from "./make-volumes.ts";
import { type PodPlan, planPod } from "./pod.ts";
import { Undo } from "./undo.ts";

/** The network that played pods are on unless something else is asked for: there they know each other's names. */
export const KUBE_NETWORK = "podman-default-kube-network";

/** What the command line adds to the file. */
export interface PlayOptions
  extends Pick<
    CreateOptions,
    "network" | "logDriver" | "logOpt" | "quietPull" | "tlsVerify" | "authFile" | "noHosts" | "userns"
  > {
  /** The first pod's, the second's, … */
  ips: readonly string[];
  macs: readonly string[];
  annotations: Readonly<Record<string, string>>;
  start: boolean;
}

export interface Played {
  volumes: string[];
  pods: { id: string; containers: string[] }[];
}

export async function play(
  engine: Engine,
  file: KubeFile,
  options: PlayOptions,
  context: Pick<CreateContext, "pull"> = {},
): Promise<Played> {
  const plans = file.pods.map(pod => planPod(pod, file));
  const taken = plans.find(({ name }) => engine.pods.find(name)?.config.name === name);
  if (taken)
    throw new UserError(
      `adding pod to state: name ${JSON.stringify(taken.name)} is in use: pod already exists`,
      {
        status: 409,
      },
    );
  const undo = new Undo();
  try {
    const played: Played = { volumes: [], pods: [] };
    for (const { name, labels } of file.claims) {
      ensureVolume(engine, name, undo, labels);
      played.volumes.push(name);
    }
    for (const [index, plan] of plans.entries())
      played.pods.push(
        await playPod(
          engine,
          plan,
          { ...options, ips: options.ips.slice(index), macs: options.macs.slice(index) },
          context,
          undo,
        ),
      );
    return played;
  } catch (error) {
    await undo.run();
    // A command that can't be started is the file's failure, not the exit code of a `run`.
    if (error instanceof UserError && error.exitCode !== 125)
      throw new UserError(error.message, { hint: error.hint, cause: error });
    throw error;
  }
}

async function playPod(
  engine: Engine,
  plan: PodPlan,
  options: PlayOptions,
  context: Pick<CreateContext, "pull">,
  undo: Undo,
): Promise<Played["pods"][number]> {
  const network = options.network ?? plan.options.network ?? [await kubeNetwork(engine, undo)];
  const mountText = makeVolumes(engine, plan.volumes, undo);
  const pod = await createPod(
    engine,
    {
      ...plan.options,
      network,
      publish: /^(host|none|ns:.*)$/.test(network[0] ?? "") ? undefined : plan.options.publish,
      ip: options.ips[0],
      macAddress: options.macs[0],
      noHosts: options.noHosts,
      userns: options.userns,
    },
    context,
  );
  const { id } = pod.config;
  undo.push(() => removePod(engine, id, { force: true, time: 0 }));
  const annotations = Object.entries({ ...plan.annotations, ...options.annotations }).map(
    ([key, value]) => `${key}=${value}`,
  );
  const create = async ({ options: own, mounts }: ContainerPlan) => {
    const { config } = await createContainer(
      engine,
      {
        ...withinMeans(engine, own),
        pod: id,
        volumes: mounts.map(mountText),
        annotations,
        noHosts: options.noHosts,
        logDriver: options.logDriver,
        logOpt: options.logOpt,
        quietPull: options.quietPull,
        tlsVerify: options.tlsVerify,
        authFile: options.authFile,
      },
      context,
    );
    return config.id;
  };
  const initial: string[] = [];
  // Without a start there is nothing that they could prepare.
  if (options.start)
    for (const one of plan.initial)
      initial.push(await create({ ...one, options: { ...one.options, restart: "no" } }));
  const containers: string[] = [];
  for (const one of plan.containers) containers.push(await create(one));
  if (options.start) {
    const prepare = async () => {
      for (const one of initial) await runToEnd(engine, one);
    };
    const [first] = containers;
    // Under its lock one that was only created counts as about to start: the pod does not end with an init container.
    if (initial.length > 0 && first !== undefined)
      await engine.containers.locked(first, async container => {
        await prepare();
        await startLocked(engine, container);
      });
    else await prepare();
    await startPod(engine, pod);
  }
  return { id, containers };
}

/** Runs an init container and removes it. */
async function runToEnd(engine: Engine, id: string): Promise<void> {
  const { config } = await startContainer(engine, id);
  const code = await waitContainer(engine, id);
  if (code !== 0) throw new UserError(`init container ${config.name} ended with exit code ${code}`);
  await removeContainer(engine, id, { volumes: true });
}

/** The options without the limits that this machine, or this user, has no control groups for. */
function withinMeans(engine: Engine, options: CreateOptions): CreateOptions {
  const means = { ...options };
  const drop = (controller: "memory" | "cpu", ...keys: ("memory" | "memoryReservation" | "cpus")[]) => {
    if (hasController(engine, controller) || !keys.some(key => options[key] !== undefined)) return;
    for (const key of keys) delete means[key];
    log.warn(
      `the ${controller} limits of ${options.name} are not kept: no ${controller} control group is there for them`,
    );
  };
  drop("memory", "memory", "memoryReservation");
  drop("cpu", "cpus");
  return means;
}

async function kubeNetwork(engine: Engine, undo: Undo): Promise<string> {
  if (engine.networks.exists(KUBE_NETWORK)) return KUBE_NETWORK;
  await engine.networks.create({
    name: KUBE_NETWORK,
    driver: "bridge",
    subnets: [],
    ipv6: false,
    internal: false,
    dns: true,
    labels: {},
    options: {},
  });
  undo.push(async () => void (await removeNetwork(engine, KUBE_NETWORK)));
  return KUBE_NETWORK;
}
