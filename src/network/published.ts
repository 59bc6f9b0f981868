/** Published ports that callers reach through the data plane: bound on the host here, served there. */
import { readFileSync } from "node:fs";
import { hasCode, UserError } from "../base/errors.ts";
import { MAX_DESCRIPTORS, type PortSettings } from "../netd/control.ts";
import { bindPorts } from "../netd/port-sockets.ts";
import { closeFd } from "../sys/fd.ts";
import { boundPort } from "../sys/socket.ts";
import { type IpAddress, parseIP } from "../wire/addr.ts";
import type { HostPorts } from "./ports.ts";

const ANY = { 4: parseIP("0.0.0.0")!, 6: parseIP("::")! } as const;
/** How often another free port is tried where both families are to have the same. */
const TRIES = 16;

/** What one order to the data plane is made of; where the ports lead is still to be said. */
export interface Listeners {
  /** IP version of the host's address. */
  family: 4 | 6;
  settings: Omit<PortSettings, "guestAddr">;
  fds: number[];
}

type Published = HostPorts & { containerPort: number };

/**
 * Binds every port, on both families where no address is named, and chooses those that were left open. After a failure
 * none is held. Throws in Podman's words.
 */
export function bindPublished<T extends Published>(
  ports: readonly T[],
): { ports: T[]; listeners: Listeners[] } {
  const listeners: Listeners[] = [];
  try {
    const chosen = ports.map(port => {
      if (port.protocol === "sctp")
        throw new UserError("SCTP ports can't be published by the user-mode network: it carries TCP and UDP");
      const named = port.hostIp === "" ? undefined : parseIP(port.hostIp);
      if (named) return bindFamily(listeners, port, named);
      if (port.hostIp !== "")
        throw new UserError(`invalid host address ${JSON.stringify(port.hostIp)} of a published port`);
      return bindBoth(listeners, port);
    });
    return { ports: chosen, listeners };
  } catch (error) {
    closeListeners(listeners);
    throw error;
  }
}

export function closeListeners(listeners: readonly Listeners[]): void {
  for (const { fds } of listeners) for (const fd of fds) closeFd(fd);
}

/** The same ports of both families; of IPv4 alone on a host without IPv6. */
function bindBoth<T extends Published>(listeners: Listeners[], port: T): T {
  for (let tries = 1; ; tries++) {
    const before = listeners.length;
    const chosen = bindFamily(listeners, port, ANY[4]);
    try {
      return bindFamily(listeners, chosen, ANY[6]);
    } catch (error) {
      const reason = error instanceof UserError ? error.cause : error;
      if (hasCode(reason, "EAFNOSUPPORT", "EADDRNOTAVAIL")) return chosen;
      if (port.hostPort !== 0 || !hasCode(reason, "EADDRINUSE") || tries === TRIES) throw error;
      // Somebody has this port on the other family only: another is tried.
      closeListeners(listeners.splice(before));
    }
  }
}

function bindFamily<T extends Published>(listeners: Listeners[], port: T, address: IpAddress): T {
  const { containerPort, range, hostPort } = port;
  const proto = port.protocol as PortSettings["proto"];
  let first = hostPort;
  for (let done = 0; done < range; ) {
    const count = Math.min(range - done, MAX_DESCRIPTORS);
    const asked = hostPort === 0 ? 0 : first + done;
    const fds = bound({ protocol: proto, hostAddress: address, hostPort: asked, count }, port);
    if (hostPort === 0) first = boundPort(fds[0]!);
    const settings = {
      proto,
      hostAddr: port.hostIp || (address.family === 4 ? "0.0.0.0" : "::"),
      hostPort: first + done,
      guestPort: containerPort + done,
      count,
    };
    listeners.push({ family: address.family, settings, fds });
    done += count;
  }
  return { ...port, hostPort: first };
}

function bound(ports: Parameters<typeof bindPorts>[0], { hostIp }: Published): number[] {
  try {
    return bindPorts(ports);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const { protocol, hostAddress, hostPort } = ports;
    const shown = hostIp || (hostAddress.family === 4 ? "0.0.0.0" : "[::]");
    const refused = (what: string, why: string) =>
      new UserError(`${what}listen ${protocol} ${shown}:${hostPort}: bind: ${why}`, {
        exitCode: 126,
        status: 409,
        cause: error.cause,
      });
    if (hasCode(error.cause, "EACCES"))
      throw refused(
        `cannot expose privileged port ${hostPort}, you can add 'net.ipv4.ip_unprivileged_port_start=${hostPort}' to /etc/sysctl.conf (currently ${unprivilegedStart()}), or choose a larger port number (>= ${unprivilegedStart()}): `,
        "permission denied",
      );
    if (hasCode(error.cause, "EADDRINUSE")) throw refused("", "address already in use");
    if (hasCode(error.cause, "EADDRNOTAVAIL")) throw refused("", "cannot assign requested address");
    throw error;
  }
}

/** The first port that anybody may bind (ip(7)). */
function unprivilegedStart(): number {
  return Number(readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8"));
}
