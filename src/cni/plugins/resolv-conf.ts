/** resolv.conf(5) as a result's `dns`: host-local's `resolvConf` names such a file. */
import { readFileSync } from "node:fs";
import { errorText } from "../../base/errors.ts";
import { CNI_ERROR, CniError, type Dns } from "../types.ts";

/** What the text says; of several `search` and `options` lines, all words. Lines of `#` and `;` are comments. */
export function parseResolvConf(text: string): Dns {
  const dns: Dns = {};
  for (const line of text.split("\n")) {
    const [key, ...words] = line.trim().split(/\s+/);
    if (words.length === 0 || /^[#;]/.test(key!)) continue;
    if (key === "nameserver") dns.nameservers = [...(dns.nameservers ?? []), words[0]!];
    else if (key === "domain") dns.domain = words[0];
    else if (key === "search") dns.search = [...(dns.search ?? []), ...words];
    else if (key === "options") dns.options = [...(dns.options ?? []), ...words];
  }
  return dns;
}

/** The same of a file. Throws a CniError where it can't be read. */
export function readResolvConf(path: string): Dns {
  try {
    return parseResolvConf(readFileSync(path, "utf8"));
  } catch (error) {
    throw new CniError(CNI_ERROR.IO, `can't read the resolvConf ${path}`, errorText(error));
  }
}
