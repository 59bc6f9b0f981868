/** Deciding what begins a new container's process, and what happens after its end. */
import { UserError } from "../base/errors.ts";
import { CATATONIT_DIRECTORIES, findProgram } from "../base/programs.ts";
import type { RestartPolicy } from "./config.ts";

/** The program that `--init` puts before the command. */
export function initProgram(path: string | undefined): string {
  const found = path
    ? findProgram(path)
    : (findProgram("catatonit", CATATONIT_DIRECTORIES) ?? findProgram("tini"));
  if (!found)
    throw new UserError(
      `container-init binary not found on the host: stat ${path ?? "catatonit"}: no such file or directory`,
      {
        hint: "install catatonit",
      },
    );
  return found;
}

/** `--restart`: `no`, `always`, `unless-stopped`, `on-failure[:RETRIES]`. */
export function restartPolicy(text = "no"): RestartPolicy {
  const [name = "", retries] = text.split(":", 2);
  if (name === "" || name === "no") return { name: "no" };
  if (name !== "on-failure" && name !== "always" && name !== "unless-stopped")
    throw new UserError(
      `running container create option: ${JSON.stringify(name)} is not a valid restart policy: invalid argument`,
    );
  if (retries === undefined) return { name };
  if (name !== "on-failure")
    throw new UserError("restart policy retries can only be specified with on-failure restart policy");
  if (!/^\d+$/.test(retries))
    throw new UserError(
      `parsing restart policy retry count: strconv.Atoi: parsing ${JSON.stringify(retries)}: invalid syntax`,
    );
  return { name, maxRetries: Number(retries) };
}

/** By which systemd as an init is told to halt (systemd(1), "Signals"). */
export const HALT = "SIGRTMIN+3";
/** What such an init wants for itself (https://systemd.io/CONTAINER_INTERFACE). */
export const SYSTEMD_TMPFS = ["/run", "/run/lock", "/tmp", "/var/log/journal"];
const INITS = new Set(["/sbin/init", "/usr/sbin/init", "/usr/local/sbin/init"]);

/** `--systemd`: with `true`, which is the default, where the container's command is an init or systemd. */
export function systemdMode(asked = "true", args: readonly string[]): boolean {
  if (asked === "always") return true;
  const [command = ""] = args;
  if (asked === "true") return INITS.has(command) || /(^|\/)systemd$/.test(command);
  if (asked === "false") return false;
  throw new UserError(
    'invalid config provided: --systemd values must be one of "true, false, always": invalid configuration',
  );
}
