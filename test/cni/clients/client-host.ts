/** A host where other engines find our CNI plugins alone: Podman and buildah by containers.conf, containerd in `/opt/cni/bin`. */
import { imageArchive } from "../../podman/image.ts";
import { TestHost } from "../../support/host.ts";

export const PLUGINS = "/opt/cni/bin";

const FILES = {
  // podman needs the runtime that works here, and no systemd.
  "/etc/containers/containers.conf": `[containers]
default_ulimits = []
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "cni"
cni_plugin_dirs = ["${PLUGINS}"]
`,
  "/etc/containers/storage.conf": `[storage]
driver = "overlay"
graphroot = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
`,
  "/etc/containers/policy.json": `{ "default": [{ "type": "insecureAcceptAnything" }] }`,
  "/etc/containers/registries.conf": "unqualified-search-registries = []\n",
};

/** The host, and the path on it of busybox as a docker-archive. */
export async function clientHost(): Promise<{ host: TestHost; image: string }> {
  const host = await TestHost.create();
  try {
    for (const [path, text] of Object.entries(FILES)) await host.write(path, text);
    const image = await imageArchive("busybox");
    await host.must(
      "sh",
      "-ec",
      `mkdir -p /var/lib/containers /var/lib/containerd && mount -t tmpfs tmpfs /var/lib/containers
      mount -t tmpfs tmpfs /usr/lib/cni && rm -rf ${PLUGINS}
      portolan cni install ${PLUGINS}`,
    );
    return { host, image };
  } catch (error) {
    await host[Symbol.asyncDispose]();
    throw error;
  }
}

/** A script that must succeed; what it printed. */
export const script = (host: TestHost, text: string) => host.must("sh", "-ec", text);
