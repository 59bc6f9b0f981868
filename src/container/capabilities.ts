/** Linux capabilities of a container (capabilities(7)): Podman's eleven, more or fewer as asked. */
import { readFileSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import type { ContainerConfig } from "./config.ts";
import type { CreateOptions } from "./create-options.ts";

/** All, in the kernel's order. */
export const ALL_CAPABILITIES =
  "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
    .split(" ")
    .map(name => `CAP_${name}`);

/** What a container has where nothing else is said. */
export const DEFAULT_CAPABILITIES =
  "CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT"
    .split(" ")
    .map(name => `CAP_${name}`);

/** All that this machine lets anybody have: asking the runtime for more would fail. */
function available(): string[] {
  const bounding = BigInt(
    `0x${/^CapBnd:\s*(\w+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0"}`,
  );
  return ALL_CAPABILITIES.filter((_, bit) => (bounding >> BigInt(bit)) & 1n);
}

/** Those that a mask has; `all` for every one that this machine knows. */
export function capabilityNames(mask: bigint): string[] | "all" {
  const last = Number(readFileSync("/proc/sys/kernel/cap_last_cap", "utf8"));
  if (mask === (1n << BigInt(last + 1)) - 1n) return "all";
  return ALL_CAPABILITIES.filter((_, bit) => (mask >> BigInt(bit)) & 1n);
}

/** `chown` and `CAP_CHOWN` are one; `ALL` stays as it is. */
export function normalized(names: readonly string[]): string[] {
  return names.map(text => {
    const upper = text.toUpperCase();
    if (upper === "ALL") return upper;
    const name = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
    if (!ALL_CAPABILITIES.includes(name)) throw new UserError(`${JSON.stringify(name)}: unknown capability`);
    return name;
  });
}

/** The capabilities, sorted, that `--cap-add`, `--cap-drop` and `--privileged` leave of the defaults. */
export function decideCapabilities(
  options: Pick<CreateOptions, "capAdd" | "capDrop" | "privileged">,
  defaults: readonly string[] = DEFAULT_CAPABILITIES,
): string[] {
  const add = normalized(options.capAdd ?? []);
  const drop = normalized(options.capDrop ?? []);
  const both = add.find(name => drop.includes(name));
  if (both) throw new UserError(`capability ${JSON.stringify(both)} cannot be dropped and added`);
  const base =
    options.privileged || add.includes("ALL")
      ? available()
      : drop.includes("ALL")
        ? []
        : normalized(defaults);
  return [...new Set([...base, ...add])].filter(name => name !== "ALL" && !drop.includes(name)).sort();
}

/**
 * The sets of one process of a container (capabilities(7)). One that is not root begins with no capabilities but those it
 * was given by name, which it keeps through execve(2).
 */
export function processCapabilities(
  { capabilities, capAdd, privileged }: Pick<ContainerConfig, "capabilities" | "capAdd" | "privileged">,
  uid: number,
): Record<"bounding" | "effective" | "permitted" | "inheritable" | "ambient", string[]> {
  if (uid === 0)
    return {
      bounding: capabilities,
      effective: capabilities,
      permitted: capabilities,
      inheritable: [],
      ambient: [],
    };
  const named = privileged ? [] : capabilities.filter(one => capAdd.includes(one) || capAdd.includes("ALL"));
  return { bounding: capabilities, effective: named, permitted: named, inheritable: named, ambient: named };
}
