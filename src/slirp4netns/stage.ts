/**
 * The started process keeps its pid through up to three programs, each replacing the one before (execve(2)): ours; ours
 * again, inside the target's user namespace, where that has to be entered, which a process with threads can't do (nsenter
 * does it between the two); ours at last, confined, as the supervisor. What one learns the next is told in a variable of
 * the environment; everything else of the environment stays behind.
 */
import { UserError } from "../base/errors.ts";
import { SERVICE_ENGINE } from "../netd/engine-settings.ts";
import { SELF } from "../netd/sandbox.ts";
import { closeOthersOnExec } from "../sys/close-range.ts";
import { setCloseOnExec } from "../sys/fd.ts";
import { exec } from "../sys/process.ts";
import type { OutboundAddresses } from "./outbound.ts";

const VARIABLE = "PORTOLAN_SLIRP4NETNS";

/** How the process was started. */
export interface Origin {
  /** The signal for the parent's death, which the kernel forgets on the way, and who the parent was. */
  deathSignal: number;
  parent: number;
  argv0: string;
}

/** Numbers are descriptors. */
export interface JoinedStage {
  name: "joined";
  origin: Origin;
  /** Of the target; absent with a tap that was handed over. */
  net?: number | undefined;
  /** The target's user namespace; absent once it has been entered. */
  user?: number | undefined;
  api?: number | undefined;
}

export interface SuperviseStage {
  name: "supervise";
  origin: Origin;
  tap: number;
  api?: number | undefined;
  outbound: OutboundAddresses;
}

/** Not the process itself but a helper of its. */
export interface TapStage {
  name: "tap";
  net: number;
  socket: number;
}

export type Stage = JoinedStage | SuperviseStage | TapStage;

export function stageEnvironment(stage: Stage): Record<string, string> {
  return { [VARIABLE]: JSON.stringify(stage) };
}

/** What the program before this one said; undefined for the first. */
export function currentStage(): Stage | undefined {
  const text = process.env[VARIABLE];
  delete process.env[VARIABLE];
  return text === undefined ? undefined : (JSON.parse(text) as Stage);
}

/** Replaces this process by itself, with `keep` and the three standard descriptors open. */
export function becomeStage(
  stage: SuperviseStage,
  argv: readonly string[],
  keep: readonly (number | undefined)[],
): never {
  keepDescriptors(keep);
  return exec(SELF, [stage.origin.argv0, ...argv], { ...SERVICE_ENGINE, ...stageEnvironment(stage) });
}

/** The same, with nsenter(1) between: the next stage is in the user namespace that `user` is open on. */
export function joinUserNamespace(
  user: number,
  stage: JoinedStage,
  argv: readonly string[],
  keep: readonly (number | undefined)[],
): never {
  const nsenter = Bun.which("nsenter", { PATH: "/usr/bin:/bin" });
  if (!nsenter)
    throw new UserError("nsenter is not there, which enters the target's user namespace", {
      exitCode: 1,
      hint: "it is part of util-linux",
    });
  keepDescriptors([user, ...keep]);
  // nsenter starts a program under its path, so the last component of the name has to be said apart.
  const command = [
    `--user=/proc/self/fd/${user}`,
    "--preserve-credentials",
    process.execPath,
    "__slirp4netns",
  ];
  return exec(nsenter, ["nsenter", ...command, ...argv], stageEnvironment(stage));
}

function keepDescriptors(keep: readonly (number | undefined)[]): void {
  closeOthersOnExec();
  for (const fd of keep) if (fd !== undefined) setCloseOnExec(fd, false);
}
