/** One container's place on one network, as the specification names it. */
import { CNI_ERROR, CniError } from "./types.ts";

export interface Attachment {
  containerId: string;
  /** Path of the namespace; "" at a DEL that has none. */
  netns: string;
  ifName: string;
  cniArgs?: [string, string][];
  capabilityArgs?: Record<string, unknown>;
}

const ID = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
/** IFNAMSIZ less its NUL. */
const MAX_IFNAME = 15;

/** Refuses ids and interface names that could name another file or device (libcni's rules). Throws a CniError. */
export function checkAttachment({ containerId, ifName }: Attachment): void {
  const refuse = (why: string, what: string) => new CniError(CNI_ERROR.INVALID_ENVIRONMENT, why, what);
  if (!ID.test(containerId)) throw refuse("invalid characters in containerID", containerId);
  if (ifName === "" || Buffer.byteLength(ifName) > MAX_IFNAME)
    throw refuse(`interface name must have 1 to ${MAX_IFNAME} characters`, ifName);
  if (ifName === "." || ifName === ".." || /[/:\s]/.test(ifName))
    throw refuse("invalid interface name", ifName);
}
