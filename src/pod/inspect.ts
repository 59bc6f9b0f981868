/** What `pod inspect` tells, in the shape that Podman 4 gives it (InspectPodData). */
import { joinsOf, statusOf } from "../container/config.ts";
import type { Engine } from "../container/engine.ts";
import { mountsPart } from "../container/inspect-host.ts";
import { inOrder, portBindings } from "../container/inspect-network.ts";
import type { Pod } from "../container/pod-store.ts";
import { type Members, membersOf, podState } from "./members.ts";

const CPU_PERIOD = 100_000;

/** The pod as JSON. What is undefined is left out of it, but a template may ask for it. */
export function inspectPod(engine: Engine, pod: Pod): Record<string, unknown> {
  const { config } = pod;
  const members = membersOf(engine, pod);
  const { infra, all } = members;
  const { limits } = config;
  const cpus = {
    cpu_period: limits.cpus ? CPU_PERIOD : undefined,
    cpu_quota: limits.cpus ? Math.round(limits.cpus * CPU_PERIOD) : undefined,
  };
  const filled = <T>(list: readonly T[] | undefined) => (list?.length ? list : undefined);
  return {
    Id: config.id,
    Name: config.name,
    Created: new Date(config.created).toISOString(),
    CreateCommand: config.createCommand,
    ExitPolicy: config.exitPolicy,
    State: podState(all),
    Hostname: config.hostname,
    Labels: Object.keys(config.labels).length > 0 ? inOrder(config.labels) : undefined,
    CreateCgroup: config.cgroup !== "",
    CgroupParent: config.cgroupParent,
    CgroupPath: config.cgroup || undefined,
    CreateInfra: infra !== undefined,
    InfraContainerID: infra?.config.id,
    InfraConfig: infra && infraPart(members, { ...cpus, cpuset_cpus: limits.cpusetCpus }),
    SharedNamespaces: filled(config.share),
    NumContainers: all.length,
    Containers: filled(all.map(one => ({ Id: one.config.id, Name: one.config.name, State: statusOf(one) }))),
    ...cpus,
    cpu_shares: limits.cpuShares || undefined,
    cpuset_cpus: limits.cpusetCpus,
    cpuset_mems: limits.cpusetMems,
    mounts: infra && filled(mountsPart(engine, infra.config.mounts)),
    devices: undefined,
    volumes_from: filled(config.volumesFrom),
    security_opt: filled(config.securityOpt),
    memory_limit: limits.memory || undefined,
    memory_swap: limits.memorySwap ?? (limits.memory ? 2 * limits.memory : undefined),
  };
}

function infraPart({ infra }: Members, limits: object): object {
  const { config } = infra!;
  const { network } = config;
  const list = (texts: readonly string[]) => (texts.length > 0 ? texts : null);
  const names = joinsOf(infra!).map(one => one.network);
  return {
    PortBindings: portBindings({ config, state: { ...infra!.state, ports: [] } } as never),
    HostNetwork: network.kind === "host",
    StaticIP: "",
    StaticMAC: "",
    NoManageResolvConf: config.dns.includes("none"),
    DNSServer: list(config.dns),
    DNSSearch: list(config.dnsSearch),
    DNSOption: list(config.dnsOption),
    NoManageHosts: config.noHosts,
    HostAdd: list(config.addHost),
    Networks: names.length > 0 ? names : null,
    NetworkOptions: null,
    ...limits,
    pid_ns: config.pidMode,
    userns: config.usernsMode ?? "host",
    uts_ns: config.utsMode,
  };
}

/** The names by which a template may ask for what JSON has under another one. */
export function withTemplateNames(data: Record<string, unknown>): Record<string, unknown> {
  return {
    ...data,
    ID: data.Id,
    CPUPeriod: data.cpu_period ?? 0,
    CPUQuota: data.cpu_quota ?? 0,
    CPUShares: data.cpu_shares ?? 0,
    CPUSetCPUs: data.cpuset_cpus ?? "",
    CPUSetMems: data.cpuset_mems ?? "",
    MemoryLimit: data.memory_limit ?? 0,
    MemorySwap: data.memory_swap ?? 0,
    Mounts: data.mounts ?? [],
    SecurityOpts: data.security_opt ?? [],
    VolumesFrom: data.volumes_from ?? [],
    Devices: [],
    Namespace: "",
  };
}
