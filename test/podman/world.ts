/** A host with Debian's podman and Portolan side by side. */
import { type Outcome, TestHost } from "../support/host.ts";
import { PODMANS_CONFLIST } from "../support/podman-conflist.ts";
import { TestUser } from "../support/user.ts";
import { imageArchive } from "./image.ts";

export const ENGINES = ["podman", "portolan"] as const;
export type EngineName = (typeof ENGINES)[number];

const DNSNAME = "/opt/cni/bin/dnsname";

/** One configuration for both. podman alone needs the runtime that works here, no systemd and its older network backend. */
const FILES = {
  "/etc/containers/containers.conf": `[containers]
default_ulimits = []
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "cni"
cni_plugin_dirs = ["/usr/lib/cni", "/opt/cni/bin"]
`,
  "/etc/containers/storage.conf": `[storage]
driver = "overlay"
graphroot = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
`,
  "/etc/containers/policy.json": `{ "default": [{ "type": "insecureAcceptAnything" }] }`,
  "/etc/containers/registries.conf": "unqualified-search-registries = []\n",
  "/etc/resolv.conf": "nameserver 192.168.77.1\n",
  "/etc/hosts": "127.0.0.1\tlocalhost\n",
  // podman's networks have names where it finds this plugin; the real one would need dnsmasq. It passes the result on.
  [DNSNAME]: `#!/bin/sh
case $CNI_COMMAND in
  VERSION) echo '{"cniVersion":"0.4.0","supportedVersions":["0.4.0"]}' ;;
  ADD) sed -e 's/.*"prevResult"://' -e 's/,"runtimeConfig":.*//' -e 's/,"type":"dnsname"}$//' ;;
esac
`,
  // podman's own default network as a file: both engines then share one bridge and one pool of addresses.
  [PODMANS_CONFLIST.path]: PODMANS_CONFLIST.text,
  // A network with one address to give.
  "/etc/cni/net.d/90-tiny.conflist": JSON.stringify({
    cniVersion: "0.4.0",
    name: "tiny",
    plugins: [
      {
        type: "bridge",
        bridge: "tiny0",
        isGateway: true,
        ipam: {
          type: "host-local",
          routes: [{ dst: "0.0.0.0/0" }],
          ranges: [[{ subnet: "10.99.0.0/30" }]],
        },
      },
    ],
  }),
};

/** What of containers.conf is of Debian 12's podman alone. */
const BACKEND = /\[network\][\s\S]*/;

/**
 * Before each script: `engine` is the engine under test, `quiet` says nothing, `ready NAME` waits until that container's
 * log says `ready`. At its end no container and no volume is left (a container that others depend on takes two rounds).
 */
const prelude = (engine: EngineName, hasPods: boolean) => `engine() { ${engine} "$@"; }
quiet() { "$@" >/dev/null 2>&1; }
ready() { until engine logs "$1" 2>/dev/null | grep -q ready; do sleep 0.02; done; }
finish() {
  cd /
  ${hasPods ? "quiet engine pod rm -f -t 0 -a" : ""}
  for round in 1 2; do [ -z "$(engine ps -aq)" ] || quiet engine rm -f -t 0 -v -a; done
  quiet engine volume prune -f
  # The whole machine goes soon: what can't be removed just now is nobody's difference.
  quiet rm -rf "$scratch"
}
scratch=$(mktemp -d) && cd "$scratch" && trap finish EXIT
`;

export class Pair implements AsyncDisposable {
  private constructor(
    readonly host: TestHost,
    /** Who calls the engines, where that is not root. */
    readonly user?: TestUser,
  ) {}

  /** A host with both engines, and the images of these names in both (see `imageArchive`). */
  static async open(...images: string[]): Promise<Pair> {
    const host = await TestHost.create();
    try {
      // podman's overlay can't lie on the host's own.
      await host.must("sh", "-c", "mkdir -p /var/lib/containers && mount -t tmpfs tmpfs /var/lib/containers");
      for (const [path, text] of Object.entries(FILES)) await host.write(path, text);
      await host.must("chmod", "+x", DNSNAME);
      const pair = new Pair(host);
      for (const image of images) await pair.load(image);
      return pair;
    } catch (error) {
      await host[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The same for an ordinary user of the host, which may have another root file system (`TestHost.create`), who has no network of his own yet. */
  static async asUser(images: readonly string[], root?: string): Promise<Pair> {
    const host = await TestHost.create(root ? { root } : {});
    try {
      const user = await TestUser.add(host);
      // Debian 13's podman has one network backend, and it is another.
      for (const [path, text] of Object.entries(FILES))
        if (!path.startsWith("/etc/cni/")) await host.write(path, root ? text.replace(BACKEND, "") : text);
      await host.must("chmod", "+x", DNSNAME);
      const pair = new Pair(host, user);
      for (const image of images) await pair.load(image);
      return pair;
    } catch (error) {
      await host[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Loads an image (see `imageArchive`) into both stores. */
  private async load(image: string): Promise<void> {
    const { host, user } = this;
    const archive = await imageArchive(image);
    await Promise.all(ENGINES.map(engine => (user ?? host).must(engine, "load", "-q", "-i", archive)));
  }

  /** Runs a script with `engine` as that engine; one that hangs is ended after 40 seconds. */
  run(engine: EngineName, script: string): Promise<Outcome> {
    const words = ["timeout", "90", "sh", "-c", prelude(engine, /\bpod\b/.test(script)) + script];
    return (this.user ?? this.host).run(words);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.host[Symbol.asyncDispose]();
  }
}
