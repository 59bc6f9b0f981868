/** Programs of others, where Linux keeps them. */
import { existsSync } from "node:fs";
import { join } from "node:path";

const DIRECTORIES = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/bin", "/sbin"];

/** The path of a program given by name or path; undefined when it is not installed. */
export function findProgram(nameOrPath: string, extra: readonly string[] = []): string | undefined {
  const candidates = nameOrPath.startsWith("/")
    ? [nameOrPath]
    : [...extra, ...DIRECTORIES].map(directory => join(directory, nameOrPath));
  return candidates.find(existsSync);
}

/** Where catatonit may lie besides. */
export const CATATONIT_DIRECTORIES = ["/usr/libexec/podman", "/usr/libexec/catatonit"];
