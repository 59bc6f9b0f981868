/** Going inside: this process replaces itself by nsenter(1), and that by this program again. */
import { homedir } from "node:os";
import { UserError } from "../base/errors.ts";
import { findProgram } from "../base/programs.ts";
import { selfCommand } from "../base/self.ts";
import { closeOthersOnExec } from "../sys/close-range.ts";
import { exec } from "../sys/process.ts";
import { type Identity, insideEnvironment } from "./identity.ts";
import { WORKING_DIRECTORY } from "./working-directory.ts";

/** Starts this program anew, with these arguments, in the namespaces of the process `pid`. */
export function join(pid: number, user: Identity, argv: readonly string[]): never {
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
    [
      "nsenter",
      `--target=${pid}`,
      "--user",
      "--mount",
      "--preserve-credentials",
      "--",
      ...selfCommand(),
      ...argv,
    ],
    {
      ...Object.fromEntries(env),
      // Inside, who looks himself up finds root.
      HOME: process.env.HOME || homedir(),
      ...insideEnvironment(user),
      [WORKING_DIRECTORY]: process.cwd(),
    },
  );
}
