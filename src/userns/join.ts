/** Going inside: this process replaces itself by nsenter(1), and that by this program again. */
import { UserError } from "../base/errors.ts";
import { findProgram } from "../base/programs.ts";
import { selfCommand } from "../base/self.ts";
import { closeOthersOnExec } from "../sys/close-range.ts";
import { exec } from "../sys/process.ts";
import { type Identity, insideEnvironment } from "./identity.ts";
import { WORKING_DIRECTORY } from "./working-directory.ts";

/** Runs `command` in the namespaces of the process `pid` in place of this process. */
export function joinAs(pid: number, user: Identity, command: readonly string[]): never {
  const nsenter = findProgram("nsenter");
  if (!nsenter)
    throw new UserError("nsenter is not installed, which enters your user namespace", {
      hint: "install the package util-linux",
    });
  closeOthersOnExec();
  const env = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return exec(
    nsenter,
    ["nsenter", `--target=${pid}`, "--user", "--mount", "--preserve-credentials", "--", ...command],
    { ...Object.fromEntries(env), ...insideEnvironment(user), [WORKING_DIRECTORY]: process.cwd() },
  );
}

/** The same for this program itself with other arguments. */
export function joinAgain(pid: number, user: Identity, argv: readonly string[]): never {
  return joinAs(pid, user, [...selfCommand(), ...argv]);
}
