/** `slirp4netns`: from the command line to a network that runs. */
import { rmSync } from "node:fs";
import { basename } from "node:path";
import { errorText, UserError } from "../base/errors.ts";
import { writeErr, writeOut } from "../base/stdio.ts";
import { dropPrivileges, enterRoot } from "../netd/sandbox.ts";
import { CAP, isCapable } from "../sys/capabilities.ts";
import { parentDeathSignal } from "../sys/process.ts";
import { bindApiSocket } from "./api-socket.ts";
import { helpText, versionText } from "./help.ts";
import { parseCommandLine, type RunCommand, type SlirpOptions, UsageError } from "./options.ts";
import { outboundAddresses } from "./outbound.ts";
import { becomeStage, currentStage, type JoinedStage, joinUserNamespace } from "./stage.ts";
import { adoptTargetTap, NeedsUserNamespace, openTargetTap, tapHelper } from "./tap.ts";
import { checkOpen, openNamespaces } from "./target.ts";

const NAME = "slirp4netns";

/** Runs until it is told to end; gives the exit code. */
export async function slirp4netnsMain(argv0: string, argv: readonly string[]): Promise<number> {
  try {
    const command = parseCommandLine(argv);
    if (command.kind === "help") writeOut(helpText());
    else if (command.kind === "version") writeOut(versionText());
    else return await run(argv0, argv, command);
    return 0;
  } catch (error) {
    const hint = error instanceof UserError && error.hint ? ` (${error.hint})` : "";
    if (!(error instanceof UsageError) || error.message !== "") writeErr(`${errorText(error)}${hint}\n`);
    if (error instanceof UsageError && error.usage) writeOut(helpText());
    return 1;
  }
}

async function run(argv0: string, argv: readonly string[], command: RunCommand): Promise<number> {
  const { options, warnings } = command;
  const stage = currentStage();
  if (stage?.name === "supervise") return (await import("./supervise.ts")).supervise(stage, options);
  if (stage?.name === "tap") return tapHelper(stage, options);
  if (!stage) for (const warning of warnings) writeErr(`WARNING: ${warning}\n`);
  const begun = stage ?? firstStage(argv0, options);
  try {
    if (stage && !isCapable(CAP.SYS_ADMIN))
      throw new UserError("the target's user namespace does not map you to its root", {
        exitCode: 1,
        hint: "make it with `unshare --map-root-user`; other users lose their rights in it when a program starts",
      });
    return prepare(begun, argv, options);
  } catch (error) {
    if (options.apiSocket !== undefined) rmSync(options.apiSocket, { force: true });
    throw error;
  }
}

/** What is done as whoever started us: all of it may fail, and nothing of it needs the target's user namespace. */
function firstStage(argv0: string, options: SlirpOptions): JoinedStage {
  const { target, usernsPath, exitFd, readyFd, apiSocket } = options;
  if (exitFd !== undefined) checkOpen("exit-fd", exitFd);
  if (readyFd !== undefined) checkOpen("ready-fd", readyFd);
  outboundAddresses(options);
  const namespaces = target.kind === "tapfd" ? {} : openNamespaces(target, usernsPath);
  return {
    name: "joined",
    // The name by which main.ts finds its way here again.
    origin: {
      deathSignal: parentDeathSignal(),
      parent: process.ppid,
      argv0: basename(argv0) === NAME ? argv0 : NAME,
    },
    ...namespaces,
    api: apiSocket === undefined ? undefined : bindApiSocket(apiSocket),
  };
}

/** Does all that needs rights, and gives them up. */
function prepare(stage: JoinedStage, argv: readonly string[], options: SlirpOptions): never {
  const { origin, api, net, user } = stage;
  const { target, exitFd, readyFd } = options;
  const keep = [api, exitFd, readyFd];
  let tap: number;
  try {
    tap =
      target.kind === "tapfd" ? adoptTargetTap(target.fd) : openTargetTap({ net: net!, user }, options, argv);
  } catch (error) {
    if (!(error instanceof NeedsUserNamespace)) throw error;
    return joinUserNamespace(user!, { ...stage, user: undefined }, argv, [net, ...keep]);
  }
  const outbound = outboundAddresses(options);
  if (options.sandbox) enterRoot();
  dropPrivileges();
  return becomeStage({ name: "supervise", origin, tap, api, outbound }, argv, [tap, ...keep]);
}
