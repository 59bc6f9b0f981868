/** Making the namespaces that a pod shares besides its network. Here because whoever goes into networks can do it for a user too. */
import { createPinned, setHostname } from "../sys/namespace-pin.ts";
import type { Pins } from "./setup.ts";

/** `stay`: the calling thread remains in the last ones made, since it could not come back. */
export function createPins({ ipc, uts }: Pins, stay: boolean): void {
  if (ipc) createPinned("ipc", ipc, { stay });
  if (uts) createPinned("uts", uts.path, { stay, inside: () => setHostname(uts.hostname) });
}
