/** Making a pod: its row, and the infra container that holds what its containers share. */
import { existsSync, writeFileSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import { CATATONIT_DIRECTORIES, findProgram } from "../base/programs.ts";
import { checkLimits, podGroup } from "../container/cgroups.ts";
import type { InfraRole, ResourceLimits } from "../container/config.ts";
import { type CreateContext, createContainer } from "../container/create.ts";
import { labels } from "../container/create-environment.ts";
import type { CreateOptions } from "../container/create-options.ts";
import type { Engine } from "../container/engine.ts";
import { randomId, randomName } from "../container/names.ts";
import { checkPodLimits } from "../container/pod-limits.ts";
import { type Pod, type PodConfig, SHARED, type Shared } from "../container/pod-store.ts";
import { recordPodEvent } from "./events.ts";
import { removeLocked, removePod } from "./remove.ts";

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const DEFAULT_SHARE = "ipc,net,uts";

/** What is asked of the infra container, as of any other, and what is asked of the pod alone. */
export interface PodOptions
  extends Pick<
      CreateOptions,
      | "name"
      | "replace"
      | "publish"
      | "network"
      | "networkAlias"
      | "ip"
      | "ip6"
      | "macAddress"
      | "hostname"
      | "addHost"
      | "noHosts"
      | "dns"
      | "dnsSearch"
      | "dnsOption"
      | "labels"
      | "labelFiles"
      | "devices"
      | "volumes"
      | "volumesFrom"
      | "securityOpt"
      | "sysctl"
      | "pidMode"
      | "utsMode"
      | "userns"
      | "uidMap"
      | "gidMap"
      | "subuidName"
      | "subgidName"
      | "cgroupParent"
      | "shmSize"
    >,
    ResourceLimits {
  /** `ipc,net`, `+pid`, `none`. */
  share?: string;
  /** Its control group is the parent of its containers'. */
  shareParent?: boolean;
  exitPolicy?: string;
  idFile?: string;
  infra?: boolean;
  infraName?: string;
  infraImage?: string;
  infraCommand?: string;
}

/** Makes a pod, ready to be started. */
export async function createPod(
  engine: Engine,
  options: PodOptions,
  context: Pick<CreateContext, "pull" | "commandLine"> = {},
): Promise<Pod> {
  if (options.replace && !options.name) throw new UserError("cannot replace pod without --name being set");
  for (const name of [options.name, options.hostname])
    if (name && !NAME.test(name))
      throw new UserError(
        "running pod create option: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument",
      );
  if (options.idFile && existsSync(options.idFile))
    throw new UserError(`pod id file exists. Ensure another pod is not using it or delete ${options.idFile}`);
  checkLimits(engine, options as CreateOptions);
  const config = decide(engine, options, context.commandLine ?? []);
  checkPodLimits(engine, config);
  const old = options.replace ? engine.pods.find(options.name!) : undefined;
  if (old && old.config.name === options.name) await removePod(engine, old.config.id, { force: true });
  const pod: Pod = { config, phase: "creating" };
  const held = engine.pods.lock(config.id);
  try {
    engine.pods.insert(pod);
    try {
      if (config.infraId) await createInfra(engine, pod, options, context);
      if (options.idFile) writeFileSync(options.idFile, config.id, { flag: "wx" });
    } catch (error) {
      await removeLocked(engine, pod);
      throw error;
    }
    engine.pods.save(pod, "ready");
    recordPodEvent(engine, pod, "create");
    return pod;
  } finally {
    held.release();
  }
}

function decide(engine: Engine, options: PodOptions, commandLine: readonly string[]): PodConfig {
  const share = shared(options.share ?? DEFAULT_SHARE);
  const { exitPolicy = "continue" } = options;
  if (exitPolicy !== "continue" && exitPolicy !== "stop")
    throw new UserError(`running pod create option: invalid pod exit policy: ${JSON.stringify(exitPolicy)}`);
  const hasInfra = options.infra ?? share.length > 0;
  if (!hasInfra) refuseWithoutInfra(options);
  const shareParent = options.shareParent ?? true;
  if (share.includes("cgroup") && shareParent)
    throw new UserError(
      "cannot define the pod as the cgroup parent at the same time as joining the infra container's cgroupNS: invalid argument",
    );
  const word = options.network?.[0] ?? "";
  if (word.startsWith("container:"))
    throw new UserError("pods presently do not support network mode container");
  if (options.publish?.length && /^(none|host|ns:.*)$/.test(word))
    throw new UserError("PortMappings can only be used with Bridge or slirp4netns networking");
  const id = randomId();
  const { cgroupParent, cgroup } = podGroup(engine, id, options.cgroupParent ?? "");
  const { memory, memorySwap, cpus, cpuShares, cpusetCpus, cpusetMems } = options;
  return {
    id,
    name: options.name || randomName(one => engine.pods.nameTaken(one)),
    created: Date.now(),
    createCommand: [...commandLine],
    labels: labels(options as CreateOptions),
    hostname: options.hostname ?? "",
    share: hasInfra ? share : [],
    exitPolicy,
    infraId: hasInfra ? randomId() : undefined,
    cgroupParent,
    cgroup: hasInfra && shareParent ? cgroup : "",
    devices: options.devices ?? [],
    volumes: options.volumes ?? [],
    volumesFrom: options.volumesFrom ?? [],
    securityOpt: options.securityOpt ?? [],
    sysctl: options.sysctl ?? [],
    limits: { memory, memorySwap, cpus, cpuShares, cpusetCpus, cpusetMems },
    idFile: options.idFile,
  };
}

/** `ipc,net`, `+pid` (besides the usual ones), `none` or nothing. */
function shared(text: string): Shared[] {
  const words = text.replace(/^\+/, "").split(",").filter(Boolean);
  const wrong = words.find(word => word !== "none" && !SHARED.includes(word as Shared));
  if (wrong !== undefined)
    throw new UserError(
      `invalid kernel namespace to share: ${wrong}. Options are: cgroup, ipc, net, pid, uts or none`,
    );
  const all = text.startsWith("+") ? [...DEFAULT_SHARE.split(","), ...words] : words;
  return all.includes("none") ? [] : SHARED.filter(one => all.includes(one));
}

function refuseWithoutInfra(options: PodOptions): void {
  if (options.share && !/^(none)?$/.test(options.share))
    throw new UserError(`cannot set share(${options.share}) namespaces without an infra container`);
  if (options.publish?.length)
    throw new UserError("you must have an infra container to publish port bindings to the host");
  if (options.noHosts) throw new UserError("cannot specify --no-hosts without an infra container");
  for (const [flag, value] of [
    ["--ip", options.ip],
    ["--ip6", options.ip6],
    ["--mac", options.macAddress],
    ["--network-alias", options.networkAlias?.[0]],
  ])
    if (value !== undefined)
      throw new UserError(`cannot set ${flag} without infra container: invalid argument`);
  if (options.network) throw new UserError("NoInfra and network modes cannot be used together");
  for (const [what, value] of [
    ["HostAdd", options.addHost],
    ["DNSServer", options.dns],
    ["DNSSearch", options.dnsSearch],
    ["DNSOption", options.dnsOption],
  ] as const)
    if (value?.length)
      throw new UserError(`NoInfra and ${what} are mutually exclusive pod options: invalid pod spec`);
}

/** What holds the shared namespaces: files, unless a process must be in them. */
function roleOf(engine: Engine, config: PodConfig, options: PodOptions): InfraRole {
  const { share } = config;
  const { userns, uidMap, gidMap, subuidName, infraImage, infraCommand } = options;
  const mapped = (userns ?? "host") !== "host" || uidMap || gidMap || subuidName;
  const needsProcess = share.includes("pid") || share.includes("cgroup") || mapped;
  if (infraImage || engine.conf.engine.infra_image) return { kind: "process", share };
  if (!needsProcess && !infraCommand) return { kind: "pins", share };
  const pause = findProgram("catatonit", CATATONIT_DIRECTORIES);
  if (!pause)
    throw new UserError("catatonit, which sleeps in the pod's infra container, is not installed", {
      hint: "install the package catatonit",
    });
  return { kind: "process", share, pause };
}

async function createInfra(
  engine: Engine,
  { config }: Pod,
  options: PodOptions,
  context: Pick<CreateContext, "pull" | "commandLine">,
): Promise<void> {
  const image = options.infraImage ?? engine.conf.engine.infra_image ?? "";
  const { name, replace, share, infraName, infraImage, infraCommand, ...asked } = options;
  const command = infraCommand ?? engine.conf.engine.infra_command;
  await createContainer(
    engine,
    {
      ...asked,
      image,
      command: [],
      ...(command ? { entrypoint: JSON.stringify(command.split(/\s+/).filter(Boolean)) } : {}),
      name: infraName || `${config.id.slice(0, 12)}-infra`,
      hostname: options.utsMode === "host" ? undefined : options.hostname || config.name,
      // Of the pod's control group, not of the one container's.
      memory: undefined,
      memorySwap: undefined,
      cpus: undefined,
      cpuShares: undefined,
      cpusetCpus: undefined,
      cpusetMems: undefined,
      cgroupParent: undefined,
    },
    {
      pull: context.pull,
      commandLine: context.commandLine,
      infra: {
        pod: config,
        id: config.infraId!,
        role: roleOf(engine, config, options),
        hasImage: image !== "",
      },
    },
  );
}
