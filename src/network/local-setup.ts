/** Root's way: this process goes into a namespace and comes back. Bridges are the host's, whose kernel publishes ports. */
import { closeFd } from "../sys/fd.ts";
import * as netns from "../sys/netns.ts";
import { bringLoopbackUp } from "./loopback.ts";
import type { NamespaceView } from "./namespace-view.ts";
import { createPins } from "./pins.ts";
import type { Attachment, AttachRequest, NetworkService, RefreshRequest } from "./service.ts";
import type { NetworkSetup, OpenNetd, Pins } from "./setup.ts";
import type { UserModePlan } from "./user-mode.ts";

export class LocalSetup implements NetworkSetup {
  constructor(
    private readonly networks: () => NetworkService,
    private readonly openNetd: OpenNetd,
  ) {}

  async createNetns(path: string): Promise<void> {
    netns.create(path);
    netns.run(path, bringLoopbackUp);
  }

  async createPins(pins: Pins): Promise<void> {
    createPins(pins, false);
  }

  async joinUserMode(path: string, plan: UserModePlan, key: string): Promise<void> {
    const [netd, { openPlannedTap }] = await Promise.all([
      this.openNetd({ start: true }),
      import("./tap.ts"),
    ]);
    const tap = netns.run(path, () => openPlannedTap(plan));
    try {
      await netd!.addTap(key, plan.settings, tap);
    } finally {
      closeFd(tap);
    }
  }

  async letCallersIn(path: string, plan: UserModePlan, key: string): Promise<void> {
    const [netd, { familiesOf, giveTransparent, openTransparent }] = await Promise.all([
      this.openNetd({ start: true }),
      import("./transparent.ts"),
    ]);
    const sockets = netns.run(path, () => openTransparent(familiesOf(plan)));
    await giveTransparent(netd!, key, sockets);
  }

  attach(request: AttachRequest): Promise<Attachment> {
    return this.networks().attach(request);
  }

  refresh(request: RefreshRequest): Promise<void> {
    return this.networks().refresh(request);
  }

  detach(...[containerId, begun, path]: Parameters<NetworkSetup["detach"]>): Promise<void> {
    return this.networks().detach(containerId, begun, path);
  }

  async removeBridge(name: string): Promise<void> {
    const { removeBridge } = await import("./remove-bridge.ts");
    removeBridge(name);
  }

  async bindResolver(addresses: readonly string[]): Promise<number[]> {
    const { bindResolver } = await import("../netd/port-sockets.ts");
    return bindResolver(addresses);
  }

  /** Root's bridges have the host's own network. */
  async serveUplink(): Promise<void> {}

  bridgeUplink(): undefined {
    return undefined;
  }

  async view(path: string): Promise<NamespaceView | undefined> {
    if (!netns.isNetns(path)) return undefined;
    const { readNamespaceView } = await import("./namespace-view.ts");
    return netns.run(path, () => readNamespaceView({ firewall: false }));
  }

  async viewBridges(): Promise<NamespaceView> {
    const { readNamespaceView } = await import("./namespace-view.ts");
    return readNamespaceView({ firewall: true });
  }

  close(): void {}
}
