import { UserError } from "../../base/errors.ts";
import { findProgram } from "../../base/programs.ts";
import { Engine } from "../../container/engine.ts";
import { exec } from "../../sys/process.ts";
import { userIdentity } from "../../userns/identity.ts";
import type { Command } from "../command.ts";
import { goInside } from "../go-inside.ts";

export const unshare: Command = {
  summary: "Run a command in your user namespace",
  usage: "[options] [COMMAND [ARG...]]",
  interspersed: false,
  flags: [],
  run({ args, global, commandLine }) {
    const user = userIdentity();
    if (!user) throw new UserError("please use unshare with rootless");
    const [name = process.env.SHELL || "/bin/sh", ...rest] = args;
    const path = name.includes("/") ? name : findProgram(name);
    if (!path)
      throw new UserError(`exec: ${JSON.stringify(name)}: executable file not found in $PATH`, {
        exitCode: 127,
      });
    if (!user.inside) return goInside(Engine.paths(global).runRoot, user, commandLine.slice(1));
    return exec(path, [path, ...rest], process.env as Record<string, string>);
  },
};
