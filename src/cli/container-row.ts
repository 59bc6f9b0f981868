/** A container as `ps` shows it: one row of texts, or one object of its JSON. */
import { readlinkSync } from "node:fs";
import { type Container, joinsOf, type PortMapping, statusOf } from "../container/config.ts";
import type { Engine } from "../container/engine.ts";
import { containerSize } from "../container/usage.ts";
import { goTime } from "./format/go-print.ts";
import { humanDuration, humanSize } from "./format/human.ts";

export const NAMESPACES = ["CGROUPNS", "IPC", "MNT", "NET", "PIDNS", "USERNS", "UTS"] as const;

export type PsRow = Record<string, unknown>;

const NEVER = -62_135_596_800;
const ago = (ms: number) => `${humanDuration(Date.now() - ms)} ago`;

const hasProcess = (phase: Container["phase"]) => phase === "running" || phase === "initialized";

export function statusText({ phase, state }: Container): string {
  switch (phase) {
    case "running": {
      if (state.paused) return "Paused";
      const health = state.health ? ` (${state.health.status})` : "";
      return `Up ${ago(state.startedAt)}${health}`;
    }
    case "exited":
      return `Exited (${state.exitCode}) ${ago(state.finishedAt)}`;
    case "creating":
    case "starting":
      return "Created";
    default:
      return phase[0]!.toUpperCase() + phase.slice(1);
  }
}

/** Ports that follow each other on both sides are one range. By address, then protocol, as they were asked for. */
export function joinPorts(ports: readonly PortMapping[]): PortMapping[] {
  const protocols = [...new Set(ports.map(one => one.protocol))];
  const sorted = ports.toSorted(
    (a, b) =>
      (a.hostIp < b.hostIp ? -1 : a.hostIp > b.hostIp ? 1 : 0) ||
      protocols.indexOf(a.protocol) - protocols.indexOf(b.protocol) ||
      a.hostPort - b.hostPort ||
      a.containerPort - b.containerPort,
  );
  const joined: PortMapping[] = [];
  for (const port of sorted) {
    const last = joined.at(-1);
    if (
      last &&
      last.protocol === port.protocol &&
      last.hostIp === port.hostIp &&
      last.hostPort + last.range === port.hostPort &&
      last.containerPort + last.range === port.containerPort
    )
      last.range += port.range;
    else joined.push({ ...port });
  }
  return joined;
}

const span = (first: number, range: number) => (range > 1 ? `${first}-${first + range - 1}` : String(first));

/** `0.0.0.0:8080->80/tcp, 127.0.0.1:9000-9002->9000-9002/udp`. */
export function portsText(ports: readonly PortMapping[]): string {
  return joinPorts(ports)
    .map(({ hostIp, hostPort, containerPort, protocol, range }) => {
      const address = hostIp === "" ? "0.0.0.0" : hostIp.includes(":") ? `[${hostIp}]` : hostIp;
      return `${address}:${span(hostPort, range)}->${span(containerPort, range)}/${protocol}`;
    })
    .join(", ");
}

/** Its published ports; for one that shares another's network, that one's. */
function portsOf(engine: Engine, container: Container): readonly PortMapping[] {
  const { config, state } = engine.containers.networkOwner(container);
  return state.ports.length > 0 ? state.ports : config.ports;
}

const networksOf = (container: Container) => joinsOf(container).map(one => one.network);

function namespaceOf(pid: number, name: string): string {
  try {
    return /\[(\d+)\]/.exec(readlinkSync(`/proc/${pid}/ns/${name}`))?.[1] ?? "";
  } catch {
    return "";
  }
}

function namespaces({ state, phase }: Container): Record<(typeof NAMESPACES)[number], string> {
  const of = (name: string) => (hasProcess(phase) ? namespaceOf(state.pid, name) : "");
  return {
    CGROUPNS: of("cgroup"),
    IPC: of("ipc"),
    MNT: of("mnt"),
    NET: of("net"),
    PIDNS: of("pid"),
    USERNS: of("user"),
    UTS: of("uts"),
  };
}

/** The fields that `ps --format` knows; what costs work is worked out when it is asked for. */
export function containerRow(
  engine: Engine,
  container: Container,
  show: { full: boolean; size: boolean; pod?: boolean },
): PsRow {
  const { config, state, phase } = container;
  const command = config.command.join(" ");
  const created = goTime(config.created);
  const human = ago(config.created);
  const spaces = () => namespaces(container);
  const row: PsRow = {
    ID: show.full ? config.id : config.id.slice(0, 12),
    Image: config.imageName,
    ImageID: show.full ? config.imageId : config.imageId.slice(0, 12),
    Command: show.full || command.length <= 17 ? command : `${command.slice(0, 17)}...`,
    Created: created,
    CreatedAt: created,
    CreatedHuman: human,
    RunningFor: human,
    Status: statusText(container),
    State: statusText(container),
    Exited: phase === "exited",
    ExitedAt: state.finishedAt > 0 ? Math.floor(state.finishedAt / 1000) : NEVER,
    ExitCode: state.exitCode,
    Ports: portsText(portsOf(engine, container)),
    Names: config.name,
    Labels: config.labels,
    Label: (name: string) => config.labels[name] ?? "",
    Mounts: config.mounts.map(one => one.destination),
    Networks: networksOf(container).join(","),
    Pid: hasProcess(phase) ? state.pid : 0,
    Pod: show.full ? (config.pod ?? "") : (config.pod?.slice(0, 12) ?? ""),
    PodName: show.pod && config.pod ? (engine.pods.byId(config.pod)?.config.name ?? "") : "",
    AutoRemove: config.remove,
    IsInfra: config.infra !== undefined,
    Restarts: state.restartCount,
    StartedAt: Math.floor(state.startedAt / 1000),
    Size: "",
  };
  if (show.size) {
    const { own, whole } = containerSize(engine, container);
    row.Size = `${humanSize(own)} (virtual ${humanSize(whole)})`;
  }
  for (const name of NAMESPACES)
    Object.defineProperty(row, name, { enumerable: true, get: () => spaces()[name] });
  return row;
}

/** One object of `ps --format json`, with Podman's keys in Podman's order. */
export function psJson(
  engine: Engine,
  container: Container,
  { size, pod }: { size: boolean; pod: boolean },
): object {
  const { config, state, phase } = container;
  const ports = joinPorts(portsOf(engine, container));
  const sizes = size ? containerSize(engine, container) : undefined;
  return {
    AutoRemove: config.remove,
    Command: config.infra ? null : config.command,
    CreatedAt: ago(config.created),
    Exited: phase === "exited",
    ExitedAt: state.finishedAt > 0 ? Math.floor(state.finishedAt / 1000) : NEVER,
    ExitCode: state.exitCode,
    Id: config.id,
    Image: config.imageName,
    ImageID: config.imageId,
    IsInfra: config.infra !== undefined,
    Labels: Object.keys(config.labels).length > 0 ? config.labels : null,
    Mounts: config.mounts.map(one => one.destination),
    Names: [config.name],
    Namespaces: {},
    Networks: networksOf(container),
    Pid: hasProcess(phase) ? state.pid : 0,
    Pod: config.pod ?? "",
    PodName: pod && config.pod ? (engine.pods.byId(config.pod)?.config.name ?? "") : "",
    Ports:
      ports.length > 0
        ? ports.map(one => ({
            host_ip: one.hostIp,
            container_port: one.containerPort,
            host_port: one.hostPort,
            range: one.range,
            protocol: one.protocol,
          }))
        : null,
    Size: sizes ? { rootFsSize: sizes.whole, rwSize: sizes.own } : null,
    StartedAt: state.startedAt > 0 ? Math.floor(state.startedAt / 1000) : NEVER,
    State: statusOf(container),
    Status: statusText(container),
    Created: Math.floor(config.created / 1000),
  };
}
