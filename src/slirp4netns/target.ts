/** The target's namespaces: opened, looked into, and the tap made in them. */
import { fstatSync, statSync } from "node:fs";
import { hasCode, SysError, UserError } from "../base/errors.ts";
import { SELF } from "../netd/sandbox.ts";
import { CAP, isCapable } from "../sys/capabilities.ts";
import { ERRNO, sysError } from "../sys/errno.ts";
import { closeFd, O, openFd } from "../sys/fd.ts";
import * as netns from "../sys/netns.ts";
import { waitFor } from "../sys/process.ts";
import { receiveFds, sendFds } from "../sys/scm-rights.ts";
import { socketPair } from "../sys/socket-pair.ts";
import { adoptTap, openTap } from "../sys/tun.ts";
import { addressesOf } from "./addresses.ts";
import { configure } from "./configure.ts";
import type { SlirpOptions, Target } from "./options.ts";
import { stageEnvironment, type TapStage } from "./stage.ts";

/** Descriptors of the target's namespaces. */
export interface Namespaces {
  net: number;
  /** Absent where none was named and none can be found. */
  user?: number | undefined;
}

/** Opens what the command line names; throws one clear line for what isn't there or may not be opened. */
export function openNamespaces(target: Exclude<Target, { kind: "tapfd" }>, usernsPath?: string): Namespaces {
  if (usernsPath !== undefined && statSync(usernsPath, { throwIfNoEntry: false }) === undefined)
    throw new UserError(`userns path doesn't exist: ${usernsPath}`, { exitCode: 1 });
  const path = target.kind === "pid" ? `/proc/${target.pid}/ns/net` : target.path;
  const net = openNamespace(path);
  if (usernsPath !== undefined) return { net, user: openNamespace(usernsPath) };
  if (target.kind === "path") return { net };
  return { net, user: openNamespace(`/proc/${target.pid}/ns/user`) };
}

function openNamespace(path: string): number {
  try {
    return openFd(path, O.RDONLY);
  } catch (error) {
    throw withoutCall(error);
  }
}

/** `open PATH: reason` → `PATH: reason`. */
function withoutCall(error: unknown): unknown {
  if (!(error instanceof SysError)) return error;
  return new UserError(error.message.replace(/^\w+ /, ""), { exitCode: 1, cause: error });
}

/** Signals that the tap can't be made before this process has entered the target's user namespace. */
export class NeedsUserNamespace extends Error {
  override readonly name = "NeedsUserNamespace";
}

/** Makes (or takes over) the tap in the target's network namespace and configures it if asked to; gives its descriptor. */
export function openTargetTap(
  namespaces: Namespaces,
  options: SlirpOptions,
  argv: readonly string[],
): number {
  try {
    // Without rights in the host's own user namespace the way into the target may be open, but not the way back.
    if (!netns.canReturn() && isCapable(CAP.SYS_ADMIN)) return tapByHelper(namespaces.net, argv);
    return netns.run(namespaces.net, () => makeTap(options));
  } catch (error) {
    throw explained(error, namespaces, options);
  }
}

/** Works in the thread's network namespace. */
function makeTap(options: SlirpOptions): number {
  const { tapName, mtu, ipv6, mac } = options;
  const { fd } = openTap(tapName);
  const addresses = addressesOf(options.network);
  if (options.configure) configure({ tapName, mtu, addresses, ipv6, ...(mac ? { mac } : {}) });
  return fd;
}

/** Makes the tap in a process that goes into the namespace to stay, and hands the descriptor back. */
function tapByHelper(net: number, argv: readonly string[]): number {
  const [ours, theirs] = socketPair();
  try {
    const helper = Bun.spawn([SELF, "__slirp4netns", ...argv], {
      env: stageEnvironment({ name: "tap", net: HELPER.NET, socket: HELPER.SOCKET }),
      stdio: ["inherit", "inherit", "inherit", net, theirs],
    });
    closeFd(theirs);
    const { data, fds } = receiveFds(ours);
    // This program is about to be replaced, and the next would not know its child.
    waitFor(helper.pid);
    const [tap] = fds;
    if (tap !== undefined) return tap;
    if (data.length === 0) throw new UserError("the helper that makes the tap ended", { exitCode: 1 });
    const { syscall, errno, subject } = JSON.parse(new TextDecoder().decode(data));
    throw sysError(syscall, errno, subject);
  } finally {
    closeFd(ours);
  }
}

/** Where the helper finds its descriptors. */
const HELPER = { NET: 3, SOCKET: 4 } as const;

/** The helper: enters the namespace, makes the tap, hands it over or says what the kernel said. */
export function tapHelper({ net, socket }: TapStage, options: SlirpOptions): number {
  try {
    netns.enter(net);
    sendFds(socket, [makeTap(options)]);
    return 0;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const { syscall, errno, subject } = error;
    sendFds(socket, [], new TextEncoder().encode(JSON.stringify({ syscall, errno, subject })));
    return 1;
  }
}

function explained(error: unknown, { user }: Namespaces, { tapName, target }: SlirpOptions): unknown {
  if (!(error instanceof SysError)) return error;
  if (error.syscall === "setns" && error.errno === ERRNO.EPERM && user !== undefined && !isOurs(user))
    return new NeedsUserNamespace();
  const place =
    target.kind === "path"
      ? target.path
      : `the network namespace of process ${String(target.kind === "pid" ? target.pid : 0)}`;
  const reason = error.message.slice(error.message.lastIndexOf(": ") + 2);
  const because = { exitCode: 1, cause: error };
  if (error.syscall === "setns" && error.errno === ERRNO.EINVAL)
    return new UserError(`${place} is no network namespace`, because);
  if (error.syscall === "setns") return new UserError(`can't enter ${place}: ${reason}`, because);
  if (error.syscall === "TUNSETIFF" && error.errno === ERRNO.EBUSY)
    return new UserError(`the interface ${tapName} is in use: ${reason}`, because);
  if (error.syscall === "TUNSETIFF")
    return new UserError(`can't make the interface ${tapName}: ${reason}`, because);
  if (error.syscall === "open") return new UserError(`can't open ${error.subject}: ${reason}`, because);
  return new UserError(`can't configure ${tapName}: ${error.message}`, because);
}

/** True for the user namespace that this process is in. */
function isOurs(user: number): boolean {
  const ours = statSync("/proc/self/ns/user");
  const theirs = fstatSync(user);
  return ours.ino === theirs.ino && ours.dev === theirs.dev;
}

/** A tap that the caller has opened. */
export function adoptTargetTap(fd: number): number {
  try {
    return adoptTap(fd).fd;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new UserError(`descriptor ${fd} is no tap device`, { exitCode: 1, cause: error });
  }
}

/** Throws unless `fd` is open. */
export function checkOpen(option: string, fd: number): void {
  try {
    fstatSync(fd);
  } catch (error) {
    if (!hasCode(error, "EBADF")) throw error;
    const reason = sysError("fstat", ERRNO.EBADF, String(fd));
    throw new UserError(`${option} ${fd} is not an open descriptor`, { exitCode: 1, cause: reason });
  }
}
