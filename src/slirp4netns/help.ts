/** What `--help` and `--version` print. Engines search the one for option names and the other for its keys. */
import { VERSION } from "../base/version.ts";
import { OPTIONS } from "./options.ts";

const COLUMN = 25;

export function helpText(): string {
  const lines = OPTIONS.map(({ short, long, placeholder, help }) => {
    const names = `${short ? `-${short}, ` : ""}--${long}${placeholder ? `=${placeholder}` : ""}`;
    return `${names.padEnd(COLUMN - 1)} ${help}`;
  });
  return `Usage: slirp4netns [OPTION]... PID|PATH|FD [TAPNAME]
User-mode networking for network namespaces without privileges (Portolan's).

${lines.join("\n")}
`;
}

/** The release of slirp4netns whose command line this is, and the newest configuration of libslirp that it covers. */
const COMPATIBLE = "1.2.0";
const SLIRP_CONFIG_VERSION_MAX = 4;

export function versionText(): string {
  return `slirp4netns version ${COMPATIBLE}
portolan: ${VERSION}
SLIRP_CONFIG_VERSION_MAX: ${SLIRP_CONFIG_VERSION_MAX}
`;
}
