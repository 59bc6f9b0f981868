/** Deciding what a new container has of the pod that it joins. */
import { UserError } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import type { ImageRecord } from "../image/types.ts";
import type { Container, NetworkMode } from "./config.ts";
import type { CreateOptions } from "./create-options.ts";
import type { Engine } from "./engine.ts";
import type { Pod, Shared } from "./pod-store.ts";

export interface Membership {
  pod: Pod;
  infra?: Container;
}

/** What an infra container without an image is told to have: nothing but the program that sleeps. */
export const PAUSE_IMAGE: ImageRecord = {
  id: new Bun.CryptoHasher("sha256").update(`portolan-pause ${VERSION}`).digest("hex"),
  digest: "",
  repoDigests: [],
  names: [`localhost/portolan-pause:${VERSION}`],
  created: "",
  size: 0,
  manifestType: "",
  config: {
    architecture: "",
    os: "linux",
    config: {
      Entrypoint: ["/catatonit", "-P"],
      Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    },
    rootfs: { type: "layers", diff_ids: [] },
  },
};

/** The pod that `options` name; undefined where they name none. Refuses, in Podman's words, what can't be asked in a pod. */
export function membership(engine: Engine, options: CreateOptions): Membership | undefined {
  if (options.pod === undefined) return undefined;
  const pod = engine.pods.get(options.pod);
  if (options.userns !== undefined) throw new UserError("--userns and --pod cannot be set together");
  const { infraId } = pod.config;
  return { pod, ...(infraId ? { infra: engine.containers.get(infraId) } : {}) };
}

const shares = ({ pod, infra }: Membership, what: Shared) =>
  infra !== undefined && pod.config.share.includes(what);

/** The pod's network, unless the container is asked to have another. */
export function podNetwork(member: Membership, options: CreateOptions): NetworkMode | undefined {
  if (!shares(member, "net")) return undefined;
  if (options.network) return undefined;
  const refuse = (what: string) =>
    new UserError(
      `invalid config provided: ${what}: network cannot be configured when it is shared with a pod`,
    );
  if (options.publish?.length || options.publishAll)
    throw refuse("published or exposed ports must be defined when the pod is created");
  const { ip, ip6, macAddress, networkAlias } = options;
  if (ip || ip6 || macAddress || networkAlias?.length)
    throw refuse("networks must be defined when the pod is created");
  if (options.addHost?.length) throw refuse("extra host entries must be specified on the pod");
  const { config } = member.infra!;
  return config.network.kind === "host" ? { kind: "host" } : { kind: "container", id: config.id };
}

/** The options with the pod's namespaces where nothing else was asked for. */
export function podModes(member: Membership, options: CreateOptions): CreateOptions {
  const id = member.infra?.config.id;
  const of = (what: Shared, asked: string | undefined) =>
    asked || (shares(member, what) ? `container:${id}` : undefined);
  if (options.hostname !== undefined && !options.utsMode && shares(member, "uts"))
    throw new UserError(
      "invalid config provided: cannot set hostname when joining the pod UTS namespace: invalid configuration",
    );
  return {
    ...options,
    pidMode: of("pid", options.pidMode),
    ipcMode: of("ipc", options.ipcMode),
    utsMode: of("uts", options.utsMode),
    cgroupns: of("cgroup", options.cgroupns),
  };
}

/** The options with what every container of the pod has besides its own. */
export function withPod(options: CreateOptions, { pod, infra }: Membership): CreateOptions {
  const { devices, volumes, volumesFrom, securityOpt, sysctl } = pod.config;
  const both = (ours: readonly string[], theirs: readonly string[] | undefined) =>
    ours.length > 0 ? [...ours, ...(theirs ?? [])] : (theirs as string[] | undefined);
  const { usernsMode } = infra?.config ?? {};
  return {
    ...options,
    devices: both(devices, options.devices),
    volumes: both(volumes, options.volumes),
    volumesFrom: both(volumesFrom, options.volumesFrom),
    securityOpt: both(securityOpt, options.securityOpt),
    sysctl: both(sysctl, options.sysctl),
    ...(usernsMode && usernsMode !== "host" ? { userns: `container:${infra!.config.id}` } : {}),
  };
}
