/** `dhcp daemon`: keeps leases for as long as their namespaces live. Its flags and messages are those of Go's. */
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, isAbsolute } from "node:path";
import { UserError } from "../../base/errors.ts";
import { log, setLogLevel } from "../../base/log.ts";
import { Loop } from "../../netd/loop.ts";
import { closeFd, setCloseOnExec, setNonBlocking } from "../../sys/fd.ts";
import { AF, bind, isListening, listen, SOCK, socket, unixAddress } from "../../sys/socket.ts";
import { type DaemonFlags, parseDaemonFlags } from "./flags.ts";
import { Leases } from "./leases.ts";
import { Records } from "./record.ts";
import { serveLeases } from "./server.ts";
import { isServed, leasesBeside } from "./socket.ts";

const BACKLOG = 128;
/** Where systemd leaves a socket (sd_listen_fds(3)). */
const ACTIVATED = 3;

/** `argv`: what follows the word `daemon`. Runs until SIGTERM or SIGINT; gives the exit code. */
export async function dhcpDaemonMain(argv: readonly string[]): Promise<number> {
  setLogLevel("info");
  const flags = parseDaemonFlags(argv);
  const path = flags.hostPrefix + flags.socketPath;
  if (flags.pidfile) {
    if (!isAbsolute(flags.pidfile))
      throw new UserError(`Error writing pidfile ${JSON.stringify(flags.pidfile)}: path not absolute`);
    writeFileSync(flags.pidfile, String(process.pid), { mode: 0o644 });
  }
  const activated = activation();
  const listening = activated ?? listenAt(path);
  const loop = new Loop();
  const leases = new Leases(keeperOptions(loop, flags, path), flags.hostPrefix);
  leases.resume();
  serveLeases(loop, listening, leases);
  process.on("SIGTERM", () => loop.stop());
  process.on("SIGINT", () => loop.stop());
  await loop.serve();
  leases.close();
  if (activated === undefined) rmSync(path, { force: true });
  if (flags.pidfile) rmSync(flags.pidfile, { force: true });
  return 0;
}

function keeperOptions(loop: Loop, { timing, broadcast }: DaemonFlags, path: string) {
  return { loop, records: new Records(leasesBeside(path)), timing, broadcast };
}

/** The socket that systemd has made, if it has made one for this process. */
function activation(): number | undefined {
  const { LISTEN_PID, LISTEN_FDS } = process.env;
  if (LISTEN_PID !== String(process.pid) || !LISTEN_FDS) return undefined;
  if (LISTEN_FDS !== "1")
    throw new UserError(
      `Error getting listener: Too many (${LISTEN_FDS}) FDs passed through socket activation`,
    );
  if (!isListening(ACTIVATED)) throw new UserError("Error getting listener: LISTEN_FDS=1 but no FD found");
  setCloseOnExec(ACTIVATED, true);
  setNonBlocking(ACTIVATED, true);
  return ACTIVATED;
}

/** Takes the place of a socket that nobody listens on: a daemon that was killed leaves one. */
function listenAt(path: string): number {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const fd = socket(AF.UNIX, SOCK.STREAM | SOCK.NONBLOCK);
  try {
    if (isServed(path))
      throw new UserError(`Error getting listener: listen unix ${path}: bind: address already in use`, {
        hint: "another dhcp daemon is running there; -socketpath names another place",
      });
    rmSync(path, { force: true });
    bind(fd, unixAddress(path), path);
    chmodSync(path, 0o660);
    listen(fd, BACKLOG);
    log.info(`dhcp daemon: listening at ${path}`);
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}
