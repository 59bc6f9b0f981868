/** One container's place on one network, as the specification names it, and the rules for its names (libcni's utils.go). */
import { CNI_ERROR, CniError } from "./types.ts";

export interface Attachment {
  containerId: string;
  /** Path of the namespace; "" at a DEL that has none. */
  netns: string;
  ifName: string;
  cniArgs?: [string, string][];
  capabilityArgs?: Record<string, unknown>;
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
/** IFNAMSIZ less its NUL. */
const MAX_IFNAME = 15;

const refuse = (why: string, what?: string) => new CniError(CNI_ERROR.INVALID_ENVIRONMENT, why, what);

/** Refuses what could name another network's files. Throws a CniError. */
export function checkNetworkName(name: unknown): asserts name is string {
  if (typeof name !== "string" || name === "")
    throw new CniError(CNI_ERROR.INVALID_CONFIG, "missing network name");
  if (!NAME.test(name))
    throw new CniError(CNI_ERROR.INVALID_CONFIG, "invalid characters found in network name", name);
}

export function checkContainerId(id: string): void {
  if (id === "") throw new CniError(CNI_ERROR.UNKNOWN_CONTAINER, "missing containerID");
  if (!NAME.test(id)) throw refuse("invalid characters in containerID", id);
}

export function checkInterfaceName(name: string): void {
  if (name === "") throw refuse("interface name is empty");
  if (Buffer.byteLength(name) > MAX_IFNAME)
    throw refuse(
      "interface name is too long",
      `interface name should be less than ${MAX_IFNAME + 1} characters`,
    );
  if (name === "." || name === "..") throw refuse("interface name is . or ..");
  if (/[/:\s]/.test(name)) throw refuse("interface name contains / or : or whitespace characters");
}

/** Refuses ids and interface names that could name another file or device. Throws a CniError. */
export function checkAttachment({ containerId, ifName }: Attachment): void {
  checkContainerId(containerId);
  checkInterfaceName(ifName);
}
