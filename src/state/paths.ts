/** Where everything lives, from the two directories that `--root` and `--runroot` name. */
import { join } from "node:path";

export interface PathOptions {
  /** Persistent state; `/var/lib/portolan`. */
  root?: string;
  /** What dies with the boot; `/run/portolan`. */
  runRoot?: string;
}

export class Paths {
  readonly root: string;
  readonly runRoot: string;

  constructor(options: PathOptions = {}) {
    this.root = options.root ?? "/var/lib/portolan";
    this.runRoot = options.runRoot ?? "/run/portolan";
  }

  get database(): string {
    return join(this.root, "state.db");
  }
  /** Unpacked layers, one directory per diff id. */
  get layers(): string {
    return join(this.root, "layers");
  }
  /** Image manifests and configurations. */
  get images(): string {
    return join(this.root, "images");
  }
  get volumes(): string {
    return join(this.root, "volumes");
  }
  /** A container's persistent directory: OCI bundle, `upper`, `work`, `merged`, `ctr.log`. */
  container(id: string): string {
    return join(this.root, "containers", id);
  }
  /** A container's directory of this boot: sockets, pid files, and the files bound into it (`hosts`, `resolv.conf`, …). */
  containerRun(id: string): string {
    return join(this.runRoot, "containers", id);
  }
  /** Where each command that runs in a container besides its first process has a directory. */
  execs(id: string): string {
    return join(this.containerRun(id), "exec");
  }
  /** Where conmon writes `<id>` with the exit code. */
  get exits(): string {
    return join(this.runRoot, "exits");
  }
  lock(name: string): string {
    return join(this.runRoot, "locks", name);
  }
  /** Pins of network namespaces, where ip-netns(8) finds them. */
  netns(name: string): string {
    return join("/run/netns", name);
  }
}
