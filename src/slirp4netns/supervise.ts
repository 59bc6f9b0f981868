/** The confined process: it keeps the data plane alive, answers the API, and ends when it is told to. */
import { fstatSync } from "node:fs";
import { errorText } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { writeOut } from "../base/stdio.ts";
import { childPlanes } from "../netd/child-plane.ts";
import type { TapSettings } from "../netd/control.ts";
import { Supervisor } from "../netd/supervisor.ts";
import { thriftOnce } from "../netd/thrift.ts";
import { closeFd, writeFd } from "../sys/fd.ts";
import { setParentDeathSignal, setProcessName } from "../sys/process.ts";
import { raiseDescriptorLimit } from "../sys/rlimit.ts";
import { restrictCalls } from "../sys/seccomp.ts";
import { formatCidr, formatIP } from "../wire/addr.ts";
import { addressesOf, IPV6 } from "./addresses.ts";
import { serveApi } from "./api-socket.ts";
import type { SlirpOptions } from "./options.ts";
import { Ports } from "./ports.ts";
import type { SuperviseStage } from "./stage.ts";

/** The stack's largest packet; a device may be told a byte more. */
const MAX_STACK_MTU = 65520;
const MIN_STACK_MTU = 576;
const TAP = "tap";

/** Runs the network; gives the exit code. */
export async function supervise(stage: SuperviseStage, options: SlirpOptions): Promise<number> {
  const { promise: end, resolve: leave } = Promise.withResolvers<number>();
  process.on("SIGTERM", () => leave(0));
  process.on("SIGINT", () => leave(0));
  setProcessName("slirp4netns");
  followParent(stage.origin);
  // It holds a descriptor for each published port.
  raiseDescriptorLimit();
  if (options.exitFd !== undefined) leaveWith(options.exitFd, () => leave(0));

  if (options.seccomp) restrictCalls({ programs: true });
  const supervisor = new Supervisor(childPlanes({ seccomp: options.seccomp }), {
    gaveUp: error => {
      log.error(errorText(error));
      leave(1);
    },
    gone: () => {
      log.error(`the interface ${options.tapName} was removed`);
      leave(1);
    },
  });
  try {
    const kept = supervisor.keep({ op: "tap", key: TAP, settings: settings(stage, options) }, [stage.tap]);
    supervisor.start();
    await kept;
    if (stage.api !== undefined) {
      const ports = new Ports(supervisor, TAP, formatIP(addressesOf(options.network).guest));
      serveApi(stage.api, request => ports.handle(request));
    }
    writeOut(summary(options));
    if (options.readyFd !== undefined) sayReady(options.readyFd);
    thriftOnce();
    return await end;
  } finally {
    supervisor.stop();
  }
}

function settings(stage: SuperviseStage, options: SlirpOptions): TapSettings {
  const { network, gateway, dns, guest } = addressesOf(options.network);
  return {
    ipv4: {
      subnet: formatCidr(network),
      gateway: formatIP(gateway),
      dns: formatIP(dns),
      guest: formatIP(guest),
    },
    ...(options.ipv6
      ? {
          ipv6: {
            prefix: formatCidr(IPV6.network),
            gateway: formatIP(IPV6.gateway),
            dns: formatIP(IPV6.dns),
          },
        }
      : {}),
    mtu: Math.min(Math.max(options.mtu, MIN_STACK_MTU), MAX_STACK_MTU),
    hostLoopback: options.hostLoopback,
    dns: options.dns,
    outbound: stage.outbound,
  };
}

/** A parent that wanted us dead with it still does; one that has died meanwhile has had its wish. */
function followParent({ deathSignal, parent }: SuperviseStage["origin"]): void {
  if (deathSignal === 0) return;
  setParentDeathSignal(deathSignal);
  if (process.ppid !== parent) process.kill(process.pid, deathSignal);
}

/** Calls `leave` when `fd` can be read or has hung up. */
function leaveWith(fd: number, leave: () => void): void {
  const socket = { data: leave, end: leave, close: leave, error: leave };
  if (fstatSync(fd).isSocket())
    Bun.connect({ fd, socket } as unknown as Bun.UnixSocketOptions<undefined>).catch(leave);
  else Bun.file(fd).stream().getReader().read().then(leave, leave);
}

function sayReady(fd: number): void {
  try {
    writeFd(fd, new TextEncoder().encode("1"));
    closeFd(fd);
  } catch (error) {
    log.warn(`nobody can be told at ready-fd ${fd}: ${errorText(error)}`);
  }
}

function summary(options: SlirpOptions): string {
  const { network, gateway, dns, guest, dhcp } = addressesOf(options.network);
  const rows = [
    ["MTU", String(options.mtu)],
    ["Network", formatCidr(network)],
    ["Gateway", formatIP(gateway)],
    ["DNS", options.dns ? formatIP(dns) : "off"],
    ["DHCP", `${formatIP(dhcp.first)} to ${formatIP(dhcp.last)}`],
    ["Recommended IP", formatIP(guest)],
    ...(options.ipv6 ? [["IPv6", `${formatCidr(IPV6.network)}, gateway ${formatIP(IPV6.gateway)}`]] : []),
    ...(options.apiSocket ? [["API socket", options.apiSocket]] : []),
    ["Host loopback", options.hostLoopback ? `at ${formatIP(gateway)}` : "closed"],
  ];
  return rows.map(([name, value]) => `${`${name}:`.padEnd(16)} ${value}\n`).join("");
}
