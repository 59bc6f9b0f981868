import { readFileSync } from "node:fs";
import { UserError } from "../../base/errors.ts";
import { log } from "../../base/log.ts";
import { execInContainer } from "../../container/exec.ts";
import { DETACH_KEYS } from "../attached.ts";
import { type Command, print } from "../command.ts";
import { LATEST, selectOne } from "../select.ts";

function envFile(path: string): string[] {
  try {
    const lines = readFileSync(path, "utf8").split("\n");
    return lines.filter(line => line.trim() !== "" && !line.startsWith("#"));
  } catch {
    throw new UserError(`parsing env file ${JSON.stringify(path)}: open ${path}: no such file or directory`);
  }
}

export const exec: Command = {
  summary: "Run a process in a running container",
  usage: "[options] CONTAINER [COMMAND [ARG...]]",
  states: ["running"],
  interspersed: false,
  flags: [
    { long: "detach", short: "d", kind: "bool", help: "Run the exec session in detached mode" },
    { long: "env", short: "e", kind: "array", help: "Set environment variables" },
    { long: "env-file", kind: "slice", help: "Read in a file of environment variables", complete: "file" },
    { long: "interactive", short: "i", kind: "bool", help: "Keep STDIN open even if not attached" },
    { long: "privileged", kind: "bool", help: "Give the process extended Linux capabilities" },
    { long: "tty", short: "t", kind: "bool", help: "Allocate a pseudo-TTY" },
    { long: "user", short: "u", kind: "string", help: "Username or UID (format: <name|uid>[:<group|gid>])" },
    { long: "workdir", short: "w", kind: "string", help: "Working directory inside the container" },
    DETACH_KEYS,
    LATEST,
  ],
  async run(invocation) {
    const { flags } = invocation;
    const engine = await invocation.engine();
    const missing = "exec requires the name or ID of a container or the --latest flag";
    const { container, rest } = selectOne(invocation, engine, missing);
    const [tty, interactive, detach] = [flags.bool("tty"), flags.bool("interactive"), flags.bool("detach")];
    if (tty && interactive && !detach && !process.stdin.isTTY)
      log.warn("The input device is not a TTY. The --tty and --interactive flags might not work properly");
    const { id, exitCode } = await execInContainer(engine, container, {
      command: rest,
      tty,
      interactive: interactive && !detach,
      env: [...flags.list("env-file").flatMap(envFile), ...flags.list("env")],
      user: flags.string("user"),
      workdir: flags.string("workdir"),
      privileged: flags.bool("privileged"),
      detach,
      detachKeys: flags.string("detach-keys"),
    });
    if (detach) print(id);
    return exitCode;
  },
};
