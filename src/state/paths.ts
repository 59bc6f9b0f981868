/** Where everything lives, from the two directories that `--root` and `--runroot` name. */
import { join } from "node:path";
import { userRoot, userRunRoot } from "./directories.ts";

export interface PathOptions {
  /** Persistent state; `/var/lib/portolan`, a user's own in his home. */
  root?: string;
  /** What dies with the boot; `/run/portolan`, a user's own in his runtime directory. */
  runRoot?: string;
  /** The ordinary user, as the host numbers him; absent for root. */
  uid?: number;
}

export class Paths {
  readonly root: string;
  readonly runRoot: string;
  readonly #isUsers: boolean;

  constructor(options: PathOptions = {}) {
    const { uid } = options;
    this.#isUsers = uid !== undefined;
    this.root = options.root ?? (uid === undefined ? "/var/lib/portolan" : userRoot());
    this.runRoot = options.runRoot ?? (uid === undefined ? "/run/portolan" : userRunRoot(uid));
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
  /** Pins of network namespaces: where ip-netns(8) finds root's; a user's own are in his run directory. */
  netns(name: string): string {
    return join(this.#isUsers ? join(this.runRoot, "netns") : "/run/netns", name);
  }
  /** Where the OCI runtime keeps its records; undefined where it knows a place itself. */
  get runtimeRoot(): string | undefined {
    return this.#isUsers ? join(this.runRoot, "runtime-root") : undefined;
  }
}
