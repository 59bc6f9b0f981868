/** The target as the command line names it: its namespaces, and the descriptors that the caller has passed on. */
import { fstatSync, statSync } from "node:fs";
import { hasCode, SysError, UserError } from "../base/errors.ts";
import { O, openFd } from "../sys/fd.ts";
import type { Target } from "./options.ts";

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

/** Who can't open it is told the path and the reason; the call's name would tell nothing. */
function openNamespace(path: string): number {
  try {
    return openFd(path, O.RDONLY);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new UserError(error.message.replace(/^\w+ /, ""), { exitCode: 1, cause: error });
  }
}

/** The target's network namespace as a message names it. */
export function nameOf(target: Target): string {
  switch (target.kind) {
    case "pid":
      return `the network namespace of process ${target.pid}`;
    case "path":
      return target.path;
    case "tapfd":
      return `descriptor ${target.fd}`;
  }
}

/** True for the user namespace that this process is in. */
export function isOurs(user: number): boolean {
  const ours = statSync("/proc/self/ns/user");
  const theirs = fstatSync(user);
  return ours.ino === theirs.ino && ours.dev === theirs.dev;
}

/** Throws unless `fd` is open. */
export function checkOpen(option: string, fd: number): void {
  try {
    fstatSync(fd);
  } catch (error) {
    if (!hasCode(error, "EBADF")) throw error;
    throw new UserError(`${option} ${fd} is not an open descriptor`, { exitCode: 1, cause: error });
  }
}
