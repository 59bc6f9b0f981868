/** A user's way: the helper goes into namespaces, this process stays in the host's, where the data plane is. */
import { closeFd } from "../sys/fd.ts";
import * as netns from "../sys/netns.ts";
import { NetworkHelper } from "./helper-client.ts";
import type { NetworkSetup, TapServer } from "./setup.ts";
import type { UserModePlan } from "./user-mode.ts";

export class HelperSetup implements NetworkSetup {
  private helper: NetworkHelper | undefined;

  /** `command`: what starts the helper, where it is not the program that runs. */
  constructor(
    private readonly tapServer: () => Promise<TapServer>,
    private readonly command?: readonly string[],
  ) {}

  /** Starts the helper, which else happens when it is first needed: it comes up while the caller does other things. */
  begin(): NetworkHelper {
    this.helper ??= NetworkHelper.start(this.command);
    return this.helper;
  }

  async createNetns(path: string): Promise<void> {
    await this.begin().ask({ do: "createNetns", path });
  }

  async removeNetns(path: string): Promise<void> {
    netns.remove(path);
  }

  async joinUserMode(path: string, plan: UserModePlan, key: string): Promise<void> {
    const helper = this.begin();
    const [server] = await Promise.all([this.tapServer(), helper.ask({ do: "openTap", path, plan })]);
    const tap = helper.takeDescriptor();
    try {
      await server.addTap(key, plan.settings, tap);
    } finally {
      closeFd(tap);
    }
  }

  close(): void {
    this.helper?.close();
    this.helper = undefined;
  }
}
