/** What `--security-opt` asks for. */
import { existsSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import type { CreateOptions } from "./create-options.ts";

/** The value of `--security-opt KEY=VALUE`, the last one where there are several. */
export function securityValue(options: CreateOptions, key: string): string | undefined {
  return options.securityOpt?.findLast(one => new RegExp(`^${key}[=:]`).test(one))?.slice(key.length + 1);
}

export function checkSecurityOption(text: string): void {
  const [key, value] = text.split(/[=:]/, 2);
  if (key === "seccomp" && value !== "unconfined" && !existsSync(value ?? ""))
    throw new UserError(`opening seccomp profile failed: open ${value}: no such file or directory`);
  if (
    !["seccomp", "no-new-privileges", "label", "apparmor", "mask", "unmask", "proc-opts"].includes(key ?? "")
  )
    throw new UserError(`invalid --security-opt 1: ${JSON.stringify(text)}`);
}

/** The AppArmor profile that was named; a default from containers.conf goes by where there is no AppArmor. */
export function apparmorProfile(options: CreateOptions, conf: string | undefined): string | undefined {
  const asked = securityValue(options, "apparmor");
  const named = asked ?? conf;
  if (!named || named === "unconfined" || options.privileged) return undefined;
  if (existsSync("/sys/kernel/security/apparmor/profiles")) return named;
  if (asked)
    throw new UserError(
      `apparmor profile ${JSON.stringify(named)} specified, but Apparmor is not enabled on this system`,
    );
  return undefined;
}
