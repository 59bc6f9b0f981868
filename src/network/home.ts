/**
 * A user's home namespace: the network namespace that his bridges are in, with one tap as its way out. To the containers on
 * them it is what the host is to root's.
 *
 * This is its inside, for the helper. It is made when a container first joins a bridge, and goes with the last. Who works
 * in it holds its lock from the moment he looks whether it is there.
 */
import { existsSync, writeFileSync } from "node:fs";
import { takeTurnsAt } from "../firewall/transaction.ts";
import { closeFd, O, openFd } from "../sys/fd.ts";
import { type Lock, lock } from "../sys/flock.ts";
import * as netns from "../sys/netns.ts";
import { bringLoopbackUp } from "./loopback.ts";

export interface HomePaths {
  /** Pin of the namespace. */
  netns: string;
  lock: string;
  /** Lock of the firewall in it. */
  firewallLock: string;
  /** The plan of its tap, as JSON. */
  plan: string;
}

export class Home {
  private held: Lock | undefined;

  /**
   * Takes the calling thread into the home namespace, to stay, and holds its lock until `leave`. Where there is none, it is
   * made or, without `create`, the thread is in an empty one. True when it was there.
   */
  enter(paths: HomePaths, create: boolean): boolean {
    this.held = lock(paths.lock);
    takeTurnsAt(paths.firewallLock);
    if (netns.isNetns(paths.netns)) {
      const home = openFd(paths.netns, O.RDONLY);
      try {
        netns.enter(home);
      } finally {
        closeFd(home);
      }
      return true;
    }
    netns.remove(paths.netns);
    if (create) {
      netns.createAndStay(paths.netns);
      bringLoopbackUp();
      for (const name of ["ipv4/ip_forward", "ipv6/conf/all/forwarding"]) {
        const path = `/proc/sys/net/${name}`;
        if (existsSync(path)) writeFileSync(path, "1");
      }
    } else netns.leaveForNew();
    return false;
  }

  leave(): void {
    this.held?.release();
    this.held = undefined;
  }
}
