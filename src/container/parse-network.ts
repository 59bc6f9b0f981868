/** `--network NAME:ip=10.88.0.9,mac=…,alias=…,interface_name=…`: a network with what the container is there (podman-run(1)). */
import { UserError } from "../base/errors.ts";
import { parseIP } from "../wire/addr.ts";

/** What is asked of one network. */
export interface JoinOptions {
  ip?: string;
  ip6?: string;
  mac?: string;
  ifName?: string;
  aliases: string[];
}

/** The form in which MAC addresses are kept; undefined for what is none. */
export const normalMac = (text: string): string | undefined =>
  /^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(text) ? text.toLowerCase().replaceAll("-", ":") : undefined;

/** A network's name and the options behind it. Throws UserError for options unknown, malformed or given twice. */
export function parseNetworkWord(word: string): { name: string; options: JoinOptions } {
  const colon = word.indexOf(":");
  const options: JoinOptions = { aliases: [] };
  if (colon < 0) return { name: word, options };
  const name = word.slice(0, colon);
  const refuse = (why: string) => new UserError(`invalid option for network ${name}: ${why}`);
  for (const option of word
    .slice(colon + 1)
    .split(",")
    .filter(Boolean)) {
    const [key = "", ...rest] = option.split("=");
    const value = rest.join("=");
    const set = (field: "ip" | "ip6" | "mac" | "ifName", text: string | undefined, wrong: string) => {
      if (!text) throw refuse(wrong);
      if (options[field] !== undefined) throw refuse(`${key} is given twice`);
      options[field] = text;
    };
    if (key === "ip" || key === "ip6") {
      const ip = parseIP(value);
      set(ip?.family === 6 ? "ip6" : "ip", ip && value, `invalid ip address ${JSON.stringify(value)}`);
    } else if (key === "mac") set("mac", normalMac(value), `address ${value}: invalid MAC address`);
    else if (key === "interface_name") set("ifName", value, "interface_name cannot be empty");
    else if (key === "alias" && value) options.aliases.push(value);
    else if (key === "alias") throw refuse("alias cannot be empty");
    else throw refuse(`unknown bridge network option: ${key}`);
  }
  return { name, options };
}
