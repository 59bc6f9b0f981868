/** A pod of a file as what `pod create` and `run` would be asked for. Nothing is looked up on the machine, nothing is made. */
import type { PodOptions } from "../pod/create.ts";
import { type ContainerPlan, planContainer } from "./container.ts";
import type { Field } from "./fields.ts";
import type { KubeFile, PodObject } from "./file.ts";
import { planVolumes, type VolumePlan } from "./volumes.ts";

export interface PodPlan {
  name: string;
  options: PodOptions;
  volumes: Map<string, VolumePlan>;
  /** Each runs to its end before the next, and all before the others start. */
  initial: ContainerPlan[];
  containers: ContainerPlan[];
  annotations: Record<string, string>;
}

export function planPod(
  { name, body }: PodObject,
  sources: Pick<KubeFile, "configMaps" | "secrets">,
): PodPlan {
  const metadata = body.at("metadata");
  const spec = body.at("spec");
  const pod = {
    name,
    labels: metadata.at("labels").pairs(),
    annotations: metadata.at("annotations").pairs(),
  };
  const around = { ...sources, pod, spec, volumes: planVolumes(spec, sources) };
  const plan = (member: string) =>
    spec
      .at(member)
      .list()
      .map(one => planContainer(one, around));
  const initial = plan("initContainers");
  const containers = plan("containers");
  const names = [...initial, ...containers].map(one => one.options.name);
  const twice = names.find((one, index) => names.indexOf(one) !== index);
  if (twice) throw spec.refuse(`there are two containers ${JSON.stringify(twice.slice(name.length + 1))}`);
  return {
    name,
    options: podOptions(name, spec, pod.labels),
    volumes: around.volumes,
    initial,
    containers,
    annotations: pod.annotations,
  };
}

function podOptions(name: string, spec: Field, labels: Record<string, string>): PodOptions {
  const hostNetwork = spec.at("hostNetwork").bool() ?? false;
  const dns = spec.at("dnsConfig");
  const filled = <T>(list: T[]) => (list.length > 0 ? list : undefined);
  const publish = spec.at("containers").list().flatMap(ports);
  return {
    name,
    labels: Object.entries(labels).map(([key, value]) => `${key}=${value}`),
    hostname: spec.at("hostname").text() || undefined,
    exitPolicy: "stop",
    share: spec.at("shareProcessNamespace").bool() ? "+pid" : undefined,
    network: hostNetwork ? ["host"] : undefined,
    publish: hostNetwork ? undefined : filled(publish),
    addHost: filled(
      spec
        .at("hostAliases")
        .list()
        .flatMap(one => {
          const ip = one.at("ip").needed();
          return one
            .at("hostnames")
            .list()
            .map(host => `${host.needed()}:${ip}`);
        }),
    ),
    dns: filled(dns.at("nameservers").texts()),
    dnsSearch: filled(dns.at("searches").texts()),
    dnsOption: filled(
      dns
        .at("options")
        .list()
        .map(one => {
          const value = one.at("value").text();
          return `${one.at("name").needed()}${value ? `:${value}` : ""}`;
        }),
    ),
    sysctl: filled(
      spec
        .at("securityContext")
        .at("sysctls")
        .list()
        .map(one => `${one.at("name").needed()}=${one.at("value").text() ?? ""}`),
    ),
  };
}

/** `--publish` for each port; without a port of the host it is the container's, as with Podman. */
function ports(container: Field): string[] {
  return container
    .at("ports")
    .list()
    .map(one => {
      const port = one.at("containerPort").integer(0, 65_535) ?? 0;
      const hostPort = one.at("hostPort").integer(0, 65_535) || port;
      if (port === 0 && hostPort === 0) throw one.at("containerPort").refuse("is needed");
      const protocol = one.at("protocol").word(["TCP", "UDP", "SCTP"]) ?? "TCP";
      const ip = one.at("hostIP").text() ?? "";
      const host = ip.includes(":") ? `[${ip}]` : ip;
      return `${host ? `${host}:` : ""}${hostPort}:${port || hostPort}/${protocol.toLowerCase()}`;
    });
}
