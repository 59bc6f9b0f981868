/** Root's way: this process goes into a namespace and comes back. */
import { closeFd } from "../sys/fd.ts";
import * as netns from "../sys/netns.ts";
import { bringLoopbackUp } from "./loopback.ts";
import type { NetworkSetup, TapServer } from "./setup.ts";
import type { UserModePlan } from "./user-mode.ts";

export class LocalSetup implements NetworkSetup {
  constructor(private readonly tapServer: () => Promise<TapServer>) {}

  async createNetns(path: string): Promise<void> {
    netns.create(path);
    netns.run(path, bringLoopbackUp);
  }

  async removeNetns(path: string): Promise<void> {
    netns.remove(path);
  }

  async joinUserMode(path: string, plan: UserModePlan, key: string): Promise<void> {
    const [server, { openPlannedTap }] = await Promise.all([this.tapServer(), import("./tap.ts")]);
    const tap = netns.run(path, () => openPlannedTap(plan));
    try {
      await server.addTap(key, plan.settings, tap);
    } finally {
      closeFd(tap);
    }
  }

  close(): void {}
}
