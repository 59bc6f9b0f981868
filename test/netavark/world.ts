/** A host with a real podman whose network backend is ours. */
import { imageArchive } from "../podman/image.ts";
import { until } from "../support/await.ts";
import { OUTSIDE_ADDRESS, type Outcome, PORTOLAN, TestHost } from "../support/host.ts";
import { TestNetns } from "../support/netns.ts";

/** Where podman finds its helpers first. */
export const HELPERS = "/opt/portolan";

const FILES: Record<string, string> = {
  "/etc/containers/containers.conf": `[containers]
default_ulimits = []
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
helper_binaries_dir = ["${HELPERS}", "/usr/lib/podman"]
[network]
network_backend = "netavark"
`,
  "/etc/containers/storage.conf": `[storage]
driver = "overlay"
graphroot = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
`,
  "/etc/containers/policy.json": `{ "default": [{ "type": "insecureAcceptAnything" }] }`,
  "/etc/containers/registries.conf": "unqualified-search-registries = []\n",
  "/etc/resolv.conf": `nameserver ${OUTSIDE_ADDRESS}\n`,
  "/etc/hosts": "127.0.0.1\tlocalhost\n",
};

export class PodmanHost implements AsyncDisposable {
  private constructor(readonly host: TestHost) {}

  /** `root`: a tar of another root file system, as for `TestHost`. */
  static async open(root?: string): Promise<PodmanHost> {
    const host = await TestHost.create(root ? { root } : {});
    try {
      // podman's overlay can't lie on the host's own.
      await host.must("sh", "-c", "mkdir -p /var/lib/containers && mount -t tmpfs tmpfs /var/lib/containers");
      for (const [path, text] of Object.entries(FILES)) await host.write(path, text);
      await host.must("mkdir", "-p", HELPERS, "/etc/containers/networks");
      for (const name of ["netavark", "aardvark-dns"])
        await host.must("ln", "-s", PORTOLAN, `${HELPERS}/${name}`);
      const archive = await imageArchive("busybox");
      await host.must("podman", "load", "-q", "-i", archive);
      return new PodmanHost(host);
    } catch (error) {
      await host[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Runs `podman` to its end, whatever that is. */
  try(...words: string[]): Promise<Outcome> {
    return this.host.run(["timeout", "90", "podman", ...words]);
  }

  /** Runs `podman`, which must succeed; gives what it printed. */
  async podman(...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.try(...words);
    if (code !== 0) throw new Error(`podman ${words.join(" ")}: exit ${code}: ${stderr || stdout}`);
    return stdout.trimEnd();
  }

  /** Starts a container that serves its name over HTTP at port 80, and stays; it listens once this resolves. */
  async serve(name: string, ...options: string[]): Promise<void> {
    const script = `mkdir -p /www && echo ${name} >/www/index.html && exec httpd -f -p 80 -h /www`;
    await this.podman("run", "-d", "--name", name, ...options, "busybox", "sh", "-c", script);
    await until(
      async () => (await this.try("exec", name, "wget", "-qO-", "http://127.0.0.1/")).code === 0,
      () => `${name} does not listen`,
    );
  }

  /** Runs a script in a container; what it printed. */
  exec(name: string, script: string): Promise<string> {
    return this.podman("exec", name, "sh", "-c", script);
  }

  /** The container's network namespace, for sockets of this process. */
  async namespace(name: string): Promise<TestNetns> {
    const path = await this.podman("inspect", "-f", "{{.NetworkSettings.SandboxKey}}", name);
    return TestNetns.at(`/proc/${this.host.pid}/root${path}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.host[Symbol.asyncDispose]();
  }
}
