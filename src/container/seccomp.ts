/**
 * The seccomp profile (containers-common's seccomp.json(5) format) as the runtime specification wants it: rules that
 * hang on capabilities or architectures are decided here.
 */
import { readFileSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import { mayHave } from "../sys/kernel-config.ts";

interface Conditions {
  arches?: string[];
  caps?: string[];
  minKernel?: string;
}

interface Profile {
  defaultAction: string;
  defaultErrnoRet?: number;
  archMap?: { architecture: string; subArchitectures: string[] | null }[];
  architectures?: string[];
  syscalls?: {
    names: string[];
    action: string;
    errnoRet?: number;
    args?: { index: number; value: number; valueTwo?: number; op: string }[] | null;
    includes?: Conditions;
    excludes?: Conditions;
  }[];
}

export const DEFAULT_PROFILES = ["/etc/containers/seccomp.json", "/usr/share/containers/seccomp.json"];

/** Go's name for this machine and the profile's, with the names of the architectures that it also runs. */
const MACHINES: Record<string, { name: string; scmp: string }> = {
  x64: { name: "amd64", scmp: "SCMP_ARCH_X86_64" },
  arm64: { name: "arm64", scmp: "SCMP_ARCH_AARCH64" },
};

/**
 * libseccomp takes 5 ms for three architectures where two are enough: what it does grows with the square of the filter. A
 * kernel without x32 runs none of its programs and has none of its calls.
 */
const isOfUse = (architecture: string) => architecture !== "SCMP_ARCH_X32" || mayHave("CONFIG_X86_X32_ABI");

/**
 * The profile at `path`, or the system's. Undefined where the system has none. Throws when a profile that was asked for
 * can't be read.
 */
export function seccompFor(capabilities: readonly string[], path?: string): object | undefined {
  const text = path === undefined ? systemProfile() : readProfile(path);
  if (text === undefined) return undefined;
  let profile: Profile;
  try {
    profile = JSON.parse(text) as Profile;
  } catch (error) {
    throw new UserError(
      `loading seccomp profile failed: decoding seccomp profile failed: ${(error as Error).message}`,
    );
  }
  const machine = MACHINES[process.arch];
  const holds = (conditions: Conditions | undefined) =>
    (conditions?.caps ?? []).every(one => capabilities.includes(one)) &&
    (!conditions?.arches?.length || (machine !== undefined && conditions.arches.includes(machine.name)));
  const excluded = (conditions: Conditions | undefined) =>
    (conditions?.caps ?? []).some(one => capabilities.includes(one)) ||
    (machine !== undefined && (conditions?.arches ?? []).includes(machine.name));
  const own = profile.archMap?.find(one => one.architecture === machine?.scmp);
  return {
    defaultAction: profile.defaultAction,
    defaultErrnoRet: profile.defaultErrnoRet,
    architectures: own
      ? [own.architecture, ...(own.subArchitectures ?? []).filter(isOfUse)]
      : profile.architectures,
    syscalls: (profile.syscalls ?? [])
      .filter(rule => holds(rule.includes) && !excluded(rule.excludes))
      .map(({ names, action, errnoRet, args }) => ({
        names,
        action,
        errnoRet,
        args: args?.length ? args : undefined,
      })),
  };
}

function systemProfile(): string | undefined {
  for (const path of DEFAULT_PROFILES)
    try {
      return readFileSync(path, "utf8");
    } catch {
      // The next place.
    }
  return undefined;
}

function readProfile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    throw new UserError(`opening seccomp profile failed: open ${path}: no such file or directory`);
  }
}
