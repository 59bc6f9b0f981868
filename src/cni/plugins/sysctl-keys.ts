/** Keys of sysctls: from a configuration's text to a file below /proc/sys/net. */
import { existsSync, readFileSync } from "node:fs";
import { CNI_ERROR, CniError } from "../types.ts";

/** Where an administrator says which sysctls a container may have: one regular expression a line, matched to the key. */
const ALLOW_LIST = "/etc/cni/tuning/allowlist.conf";

const invalid = (message: string) => new CniError(CNI_ERROR.INVALID_CONFIG, message);

/**
 * `net.ipv4.conf.IFNAME.arp_notify` → `/proc/sys/net/ipv4/conf/eth0/arp_notify`. The first separator decides whether `.` or
 * `/` separates, and the other one stands for itself (sysctl(8)). Only what belongs to the namespace is taken.
 */
export function sysctlPath(key: string, ifName: string): string {
  const separators = /[./]/.exec(key)?.[0];
  const swapped = { ".": "/", "/": "." } as Record<string, string>;
  const path = separators === "." ? key.replaceAll(/[./]/g, one => swapped[one]!) : key;
  const parts = path.split("/").map(part => part.replace("IFNAME", ifName));
  if (parts[0] !== "net" || parts.length < 2 || parts.some(part => part === "" || /^\.+$/.test(part)))
    throw invalid(`invalid net sysctl key: ${JSON.stringify(key)}`);
  return `/proc/sys/${parts.join("/")}`;
}

/** Throws for a key that the machine's list does not have. Where there is no list, every key is allowed. */
export function checkAllowed(keys: readonly string[], file = ALLOW_LIST): void {
  if (keys.length === 0 || !existsSync(file)) return;
  const patterns = readFileSync(file, "utf8")
    .split("\n")
    .map(line => line.trim())
    .filter(line => line !== "");
  for (const key of keys)
    if (!patterns.some(pattern => new RegExp(pattern).test(key)))
      throw invalid(
        `Sysctl ${key} is not allowed. Only the following sysctls are allowed: [${patterns.join(" ")}]`,
      );
}

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/g;

/**
 * The first key that an object named `sysctl` holds twice in a JSON text: JSON.parse keeps the last and says nothing, so
 * that a reader of the file and the kernel would believe different things. The text is valid JSON.
 */
export function duplicateSysctl(source: string): string | undefined {
  const tokens = source.match(TOKEN) ?? [];
  const open: { name: string; keys: Set<string> }[] = [];
  let name = "";
  for (const [index, token] of tokens.entries()) {
    if (token === "{" || token === "[") {
      open.push({ name: token === "{" ? name : "", keys: new Set() });
      name = "";
    } else if (token === "}" || token === "]") open.pop();
    else if (token.startsWith('"') && tokens[index + 1] === ":") {
      name = JSON.parse(token) as string;
      const around = open.at(-1);
      if (around?.name === "sysctl" && around.keys.has(name)) return name;
      around?.keys.add(name);
    }
  }
  return undefined;
}
