/** The tap: made in the target's network namespace, by this process or by a helper, or taken over from the caller. */
import { errorText, SysError, UserError } from "../base/errors.ts";
import { SELF } from "../netd/sandbox.ts";
import { CAP, isCapable } from "../sys/capabilities.ts";
import { ERRNO, sysError } from "../sys/errno.ts";
import { closeFd } from "../sys/fd.ts";
import * as netns from "../sys/netns.ts";
import { waitFor } from "../sys/process.ts";
import { receiveFds, sendFds } from "../sys/scm-rights.ts";
import { socketPair } from "../sys/socket-pair.ts";
import { adoptTap, openTap } from "../sys/tun.ts";
import { addressesOf } from "./addresses.ts";
import { configure } from "./configure.ts";
import type { SlirpOptions } from "./options.ts";
import { stageEnvironment, type TapStage } from "./stage.ts";
import { isOurs, type Namespaces, nameOf } from "./target.ts";

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

/** Where the helper finds its descriptors. */
const HELPER = { NET: 3, SOCKET: 4 } as const;

/** What the helper says instead of handing over a tap. */
type Failure = { syscall: string; errno: number; subject: string } | { message: string };

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
    if (data.length === 0) throw new UserError("the helper that makes the interface ended", { exitCode: 1 });
    const failure = JSON.parse(new TextDecoder().decode(data)) as Failure;
    if ("message" in failure) throw new UserError(failure.message, { exitCode: 1 });
    throw sysError(failure.syscall, failure.errno, failure.subject);
  } finally {
    closeFd(ours);
  }
}

/** The helper: enters the namespace, makes the tap, hands it over or says what stands in the way. */
export function tapHelper({ net, socket }: TapStage, options: SlirpOptions): number {
  try {
    netns.enter(net);
    sendFds(socket, [makeTap(options)]);
    return 0;
  } catch (error) {
    const { syscall, errno, subject } = error as Partial<SysError>;
    const failure = error instanceof SysError ? { syscall, errno, subject } : { message: errorText(error) };
    sendFds(socket, [], new TextEncoder().encode(JSON.stringify(failure)));
    return 1;
  }
}

/** A refusal of the kernel's as one line about the target and its interface. */
function explained(error: unknown, { user }: Namespaces, { tapName, target }: SlirpOptions): unknown {
  if (!(error instanceof SysError)) return error;
  const { syscall, errno, message, subject } = error;
  if (syscall === "setns" && errno === ERRNO.EPERM && user !== undefined && !isOurs(user))
    return new NeedsUserNamespace();
  const reason = message.slice(message.lastIndexOf(": ") + 2);
  const line = () => {
    switch (syscall) {
      case "setns":
        return errno === ERRNO.EINVAL
          ? `${nameOf(target)} is no network namespace`
          : `can't enter ${nameOf(target)}: ${reason}`;
      case "TUNSETIFF":
        return errno === ERRNO.EBUSY
          ? `the interface ${tapName} is in use: ${reason}`
          : `can't make the interface ${tapName}: ${reason}`;
      case "open":
        return `can't open ${subject}: ${reason}`;
      default:
        return `can't configure ${tapName}: ${message}`;
    }
  };
  return new UserError(line(), { exitCode: 1, cause: error });
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
