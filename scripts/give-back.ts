/** Working copies that root was asked to work in by sudo(8): what it makes there is the caller's. */
import { existsSync, lchownSync } from "node:fs";

/** Makes these files and directories, those that exist, the property of who called sudo; nothing without sudo. */
export function giveBack(...paths: string[]): void {
  const { SUDO_UID, SUDO_GID } = process.env;
  if (process.getuid?.() !== 0 || !SUDO_UID || !SUDO_GID) return;
  for (const path of paths.filter(existsSync)) lchownSync(path, Number(SUDO_UID), Number(SUDO_GID));
}
