/** Where a caller's netavark keeps things: below the directory that he names (`--config`), on a tmpfs of his. */
import { join } from "node:path";

export class Place {
  /** `rootless`: the caller has a network namespace of his own, and its firewall to himself. */
  constructor(
    readonly config: string,
    readonly rootless: boolean,
  ) {}

  /** What is ours alone: results, locks, the network service's socket. */
  get own(): string {
    return join(this.config, "portolan");
  }

  /** The names of containers, a file a network, as aardvark-dns has them. */
  get names(): string {
    return join(this.config, "aardvark-dns");
  }

  lock(what: string): string {
    return join(this.own, "locks", what);
  }

  static of(config: string | undefined, rootless: boolean): Place {
    const { XDG_RUNTIME_DIR: run } = process.env;
    const usual = rootless && run ? join(run, "containers/networks") : "/run/containers/networks";
    return new Place(config || usual, rootless);
  }
}
