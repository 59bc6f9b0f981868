/** `--network NAME:ip=10.88.0.9,mac=…,alias=…`: a network with what the container is there (podman-run(1)). */
import { UserError } from "../base/errors.ts";
import { parseIP } from "../wire/addr.ts";

export interface NetworkFlag {
  /** Networks without their options, as `CreateOptions.network` takes them. */
  network?: string[];
  ip?: string;
  ip6?: string;
  macAddress?: string;
  aliases?: string[];
}

/** Modes whose text after the colon is not a list of options of a network's. */
const OTHER_MODES = /^(container|ns|slirp4netns|pasta):/;

/** Takes the options off the networks of `--network`. Throws UserError for options unknown, given twice, or of one network of several. */
export function parseNetworkFlag(words: readonly string[]): NetworkFlag {
  const found: NetworkFlag = {};
  found.network = words.map(word => {
    const [, name, list] = (!OTHER_MODES.test(word) && /^([^:,]+):(.+)$/.exec(word)) || [];
    if (name === undefined || list === undefined) return word;
    if (words.length > 1)
      throw new UserError(`network options can only be set for a single network, not in ${word}`);
    for (const option of list.split(",")) {
      const [key, ...rest] = option.split("=");
      const value = rest.join("=");
      if (key === "alias") found.aliases = [...(found.aliases ?? []), value];
      else {
        const as =
          key === "mac"
            ? "macAddress"
            : key === "ip"
              ? parseIP(value)?.family === 6
                ? "ip6"
                : "ip"
              : undefined;
        if (as === undefined) throw new UserError(`unknown bridge network option: ${key}`);
        if (found[as] !== undefined) throw new UserError(`network option ${key} is given twice in ${word}`);
        found[as] = value;
      }
    }
    return name;
  });
  return found;
}
