/** Annotations that every container has (OCI runtime specification, config.md), by the names that Podman's tools look for. */
import type { ContainerConfig } from "./config.ts";

const truth = (value: boolean | undefined) => (value ? "TRUE" : "FALSE");

/** Known from its creation on. */
export function createAnnotations(config: ContainerConfig): Record<string, string> {
  return {
    "io.kubernetes.cri-o.TTY": String(config.tty),
    ...(config.cidFile ? { "io.podman.annotations.cid-file": config.cidFile } : {}),
    "io.podman.annotations.autoremove": truth(config.remove),
    "io.podman.annotations.init": truth(config.initPath !== undefined),
    "io.podman.annotations.privileged": truth(config.privileged),
    "io.podman.annotations.publish-all": truth(config.publishAll),
  };
}

/** Added for the runtime when it is started. */
export function runAnnotations(config: ContainerConfig): Record<string, string> {
  return {
    "io.container.manager": "libpod",
    "io.kubernetes.cri-o.Created": new Date(config.created).toISOString(),
    "org.opencontainers.image.stopSignal": String(config.stopSignal),
  };
}
