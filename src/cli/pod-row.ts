/** A pod as `pod ps` shows it: one row of texts, or one object of its JSON. */
import { type Container, joinsOf, statusOf } from "../container/config.ts";
import type { Pod } from "../container/pod-store.ts";
import type { Members, PodState } from "../pod/members.ts";
import { humanDuration } from "./format/human.ts";

export interface PodEntry {
  pod: Pod;
  members: Members;
  state: PodState;
}

/** Podman's word for the state of a container in a pod. */
export function memberStatus(container: Container): string {
  const status = statusOf(container);
  return status === "creating" || status === "starting" ? "created" : status;
}

export const podNetworks = ({ infra }: Members) => (infra ? joinsOf(infra).map(one => one.network) : []);

/** The fields that `pod ps --format` knows. */
export function podRow({ pod, members, state }: PodEntry, full: boolean): Record<string, unknown> {
  const { config } = pod;
  const short = (id: string) => (full ? id : id.slice(0, 12));
  const list = (of: (one: Container) => string) => members.all.map(of).join(",");
  const id = short(config.id);
  const infra = short(config.infraId ?? "");
  return {
    ID: id,
    Id: id,
    Name: config.name,
    Status: state,
    Created: `${humanDuration(Date.now() - config.created)} ago`,
    InfraID: infra,
    InfraId: infra,
    NumberOfContainers: members.all.length,
    Cgroup: config.cgroupParent,
    Namespace: "",
    Networks: podNetworks(members).join(","),
    Labels: config.labels,
    ContainerIds: list(one => short(one.config.id)),
    ContainerNames: list(one => one.config.name),
    ContainerStatuses: list(memberStatus),
  };
}

/** One object of `pod ps --format json`, with Podman's keys in Podman's order. */
export function podJson({ pod, members, state }: PodEntry): object {
  const { config } = pod;
  return {
    Cgroup: config.cgroupParent,
    Containers: members.all.map(one => ({
      Id: one.config.id,
      Names: one.config.name,
      Status: memberStatus(one),
    })),
    Created: new Date(config.created).toISOString(),
    Id: config.id,
    InfraId: config.infraId ?? "",
    Name: config.name,
    Namespace: "",
    Networks: podNetworks(members),
    Status: state,
    Labels: config.labels,
  };
}
