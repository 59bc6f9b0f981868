/**
 * A user's way: the helper goes into namespaces, this process stays in the host's, where the data plane is. Bridges are in the
 * user's home namespace (`home.ts`); published ports of containers on them enter it by its tap, at the number that they have
 * on the host, and are sent on there.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasCode, UserError } from "../base/errors.ts";
import type { NetdClient } from "../netd/client.ts";
import { closeFd } from "../sys/fd.ts";
import * as netns from "../sys/netns.ts";
import { parseCidr } from "../wire/addr.ts";
import { IDLE, NetworkHelper } from "./helper-client.ts";
import type { HomePaths } from "./home.ts";
import { type HomeOrder, homePorts, numberIn, portOf } from "./home-ports.ts";
import type { NamespaceView } from "./namespace-view.ts";
import { portsKey } from "./ports.ts";
import type { Listeners } from "./published.ts";
import type { Attachment, AttachRequest, RefreshRequest, ServiceOptions } from "./service.ts";
import type { NetworkSetup, OpenNetd, Pins } from "./setup.ts";
import type { UserModePlan } from "./user-mode.ts";

export interface HelperSetupOptions {
  runRoot: string;
  openNetd: OpenNetd;
  /** For the networks of bridges. */
  service: ServiceOptions;
  /** Options of their way out, `engine.network_cmd_options` of containers.conf, as slirp4netns' network has them. */
  uplink?: readonly string[] | undefined;
}

/** What the data plane knows the home namespace's tap by. */
const HOME_KEY = "home";

export class HelperSetup implements NetworkSetup {
  private helper: NetworkHelper | undefined;
  private atWork = 0;
  private idle: Timer | undefined;
  private readonly paths: HomePaths;
  /** Work in the home namespace, one after the other. */
  private turn: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: HelperSetupOptions) {
    const { runRoot } = options;
    this.paths = {
      netns: join(runRoot, "netns", "rootless-netns"),
      lock: join(runRoot, "locks", "rootless-netns"),
      firewallLock: join(runRoot, "locks", "firewall"),
      plan: join(runRoot, "rootless-netns.json"),
    };
  }

  /** Does `work` with the helper, which is started if it is not there and stays a while. */
  private async helped<T>(work: (helper: NetworkHelper) => Promise<T>): Promise<T> {
    clearTimeout(this.idle);
    this.atWork++;
    if (!this.helper || this.helper.hasEnded) this.helper = NetworkHelper.obtain();
    try {
      return await work(this.helper);
    } finally {
      if (--this.atWork === 0) {
        this.idle = setTimeout(() => this.close(), IDLE);
        this.idle.unref();
      }
    }
  }

  async createNetns(path: string): Promise<void> {
    await this.helped(helper => helper.ask({ do: "createNetns", path }));
  }

  async createPins(pins: Pins): Promise<void> {
    await this.helped(helper => helper.ask({ do: "createPins", pins }));
  }

  async joinUserMode(path: string, plan: UserModePlan, key: string): Promise<void> {
    const [netd, tap] = await Promise.all([this.options.openNetd({ start: true }), this.openTap(path, plan)]);
    await serve(netd!, key, plan, tap);
  }

  async letCallersIn(path: string, plan: UserModePlan, key: string): Promise<void> {
    const [netd, { familiesOf, giveTransparent }] = await Promise.all([
      this.options.openNetd({ start: true }),
      import("./transparent.ts"),
    ]);
    const request = { do: "openTransparent", path, families: familiesOf(plan) } as const;
    await giveTransparent(netd!, key, await this.helped(helper => helper.askForDescriptors(request)));
  }

  private async openTap(path: string, plan: UserModePlan): Promise<number> {
    const [tap] = await this.helped(helper => helper.askForDescriptors({ do: "openTap", path, plan }));
    return tap!;
  }

  attach(request: AttachRequest, listeners: readonly Listeners[]): Promise<Attachment> {
    // It comes up while the helper does; whoever waits for it hears of its failure.
    const opening = this.options.openNetd({ start: true });
    opening.catch(() => {});
    return this.inHome(true, async (helper, wasThere) => {
      const { ports, containerId } = request;
      const netd = (await opening)!;
      const { guest, addresses } = await this.serveHome(netd, wasThere);
      await this.checkRoom(request.network, addresses);
      const inside = ports.length > 0 ? homePorts(ports, containerId, await homeOrders(netd)) : [];
      const attachment = await helper.ask({ do: "attach", request: { ...request, ports: distinct(inside) } });
      const numberOf = (settings: Listeners["settings"]) => {
        const at = portOf(ports, settings);
        return inside[at]!.hostPort + settings.hostPort - ports[at]!.hostPort;
      };
      await publishHome(netd, guest, containerId, attachment, listeners, numberOf);
      return attachment;
    });
  }

  serveUplink(
    containerId: string,
    carrier: Attachment | undefined,
    listeners: readonly Listeners[],
  ): Promise<void> {
    return this.inHome(false, async (_, wasThere) => {
      if (!wasThere) return;
      const netd = (await this.options.openNetd({ start: true }))!;
      const { guest } = await this.serveHome(netd, wasThere);
      if (!carrier) return;
      const { NetworkService } = await import("./service.ts");
      const inside = new NetworkService(this.options.service).published(containerId, carrier);
      await publishHome(netd, guest, containerId, carrier, listeners, settings => numberIn(inside, settings));
    });
  }

  refresh(request: RefreshRequest): Promise<void> {
    return this.inHome(false, async helper => {
      const orders = await homeOrders(await this.options.openNetd({ start: false }));
      const ports = distinct(homePorts(request.ports, request.containerId, orders));
      await helper.ask({ do: "refresh", request: { ...request, ports } });
    });
  }

  detach(
    containerId: string,
    begun: readonly { network: string; ifName: string }[],
    path: string,
    keepsListeners = false,
  ): Promise<void> {
    return this.inHome(false, async helper => {
      const someStay = await helper.ask({ do: "detach", containerId, begun, path });
      const netd = await this.options.openNetd({ start: false });
      const orders = await homeOrders(netd);
      const gone = keepsListeners ? [] : orders.filter(one => one.containerId === containerId);
      for (const { key } of gone) await netd?.remove(key);
      if (someStay || orders.length > gone.length) return;
      await netd?.remove(HOME_KEY);
      netns.remove(this.paths.netns);
      rmSync(this.paths.plan, { force: true });
    });
  }

  async removeBridge(name: string): Promise<void> {
    if (!netns.isNetns(this.paths.netns)) return;
    await this.inHome(false, async helper => {
      await helper.ask({ do: "removeBridge", name });
    });
  }

  bindResolver(addresses: readonly string[]): Promise<number[]> {
    return this.inHome(false, helper => helper.askForDescriptors({ do: "bindResolver", addresses }));
  }

  bridgeUplink(): UserModePlan | undefined {
    try {
      return JSON.parse(readFileSync(this.paths.plan, "utf8")) as UserModePlan;
    } catch (error) {
      if (hasCode(error, "ENOENT")) return undefined;
      throw error;
    }
  }

  view(path: string): Promise<NamespaceView | undefined> {
    return this.viewOf(path, false);
  }

  viewBridges(): Promise<NamespaceView | undefined> {
    return this.viewOf(this.paths.netns, true);
  }

  private async viewOf(path: string, firewall: boolean): Promise<NamespaceView | undefined> {
    if (!netns.isNetns(path)) return undefined;
    const directory = this.options.runRoot;
    const [file] = await this.helped(helper =>
      helper.askForDescriptors({ do: "view", path, firewall, directory }),
    );
    try {
      return JSON.parse(readFileSync(`/proc/self/fd/${file}`, "utf8")) as NamespaceView;
    } finally {
      closeFd(file!);
    }
  }

  /** Runs `work` while the helper is in the home namespace and holds its lock; `wasThere` before this. */
  private inHome<T>(
    create: boolean,
    work: (helper: NetworkHelper, wasThere: boolean) => Promise<T>,
  ): Promise<T> {
    const { paths } = this;
    const { service } = this.options;
    const run = () =>
      this.helped(async helper => {
        const wasThere = await helper.ask({ do: "enterHome", paths, create, service });
        try {
          return await work(helper, wasThere);
        } finally {
          await helper.ask({ do: "leaveHome" });
        }
      });
    const mine = this.turn.then(run, run);
    this.turn = mine;
    return mine;
  }

  /** A network that was made after the home namespace may lie where its tap does. */
  private async checkRoom(network: string, addresses: readonly string[]): Promise<void> {
    const [{ NetworkService }, { overlap }] = await Promise.all([
      import("./service.ts"),
      import("./subnets.ts"),
    ]);
    const { subnets = [] } = new NetworkService(this.options.service).inspect(network);
    for (const { subnet } of subnets)
      if (addresses.some(address => overlap(parseCidr(address)!, parseCidr(subnet)!)))
        throw new UserError(
          `the subnet ${subnet} of network ${network} is the way out of your bridges at present`,
          {
            hint: "stop all containers that are on networks: the way out then moves elsewhere",
          },
        );
  }

  /** Sees to it that the home namespace has its way out, and that somebody serves it; the way's plan. */
  private async serveHome(netd: NetdClient, wasThere: boolean): Promise<UserModePlan> {
    const old = wasThere ? this.bridgeUplink() : undefined;
    if (old && (await netd.list()).some(({ key }) => key === HOME_KEY)) return old;
    const plan = old ?? (await this.planHome());
    writeFileSync(this.paths.plan, JSON.stringify(plan), { mode: 0o600 });
    await serve(netd, HOME_KEY, plan, await this.openTap(this.paths.netns, plan));
    return plan;
  }

  private async planHome(): Promise<UserModePlan> {
    const [{ readHostNetwork }, { planUserMode }, { parseSlirp4netnsOptions }, { NetworkService }] =
      await Promise.all([
        import("./host-network.ts"),
        import("./user-mode.ts"),
        import("./user-mode-options.ts"),
        import("./service.ts"),
      ]);
    const networks = new NetworkService(this.options.service).list();
    const subnets = networks.flatMap(one => one.subnets?.map(({ subnet }) => subnet) ?? []);
    return planUserMode(parseSlirp4netnsOptions(this.options.uplink ?? []), readHostNetwork(), subnets);
  }

  close(): void {
    clearTimeout(this.idle);
    this.helper?.close();
    this.helper = undefined;
  }
}

/** Callers of the host's ports go to the home namespace's tap, at the number of `numberOf`, which sends them on to the container. */
async function publishHome(
  netd: NetdClient,
  guest: UserModePlan["guest"],
  containerId: string,
  { ipv4, ipv6 }: Attachment,
  listeners: readonly Listeners[],
  numberOf: (settings: Listeners["settings"]) => number,
): Promise<void> {
  for (const [index, { family, settings, fds }] of listeners.entries()) {
    const guestAddr = ipv6 && (family === 6 || !ipv4) ? guest.ipv6 : guest.ipv4;
    const otherwise = family === 6 && ipv6 && ipv4 ? { otherwise: guest.ipv4 } : {};
    const order = { ...settings, guestAddr, ...otherwise, guestPort: numberOf(settings) };
    await netd.addPorts(portsKey(containerId, index), HOME_KEY, order, fds);
  }
}

async function serve(netd: NetdClient, key: string, plan: UserModePlan, tap: number): Promise<void> {
  try {
    await netd.addTap(key, plan.settings, tap);
  } finally {
    closeFd(tap);
  }
}

/** The port orders that lead into the home namespace. */
async function homeOrders(netd: NetdClient | undefined): Promise<(HomeOrder & { key: string })[]> {
  return ((await netd?.list()) ?? []).flatMap(({ key, order }) =>
    order.op === "ports" && order.tap === HOME_KEY
      ? [{ key, containerId: key.slice(0, key.lastIndexOf(":")), settings: order.settings }]
      : [],
  );
}

/** As the CNI runtime wants them: none twice. */
function distinct(ports: AttachRequest["ports"]): AttachRequest["ports"] {
  return [...new Map(ports.map(one => [JSON.stringify(one), one])).values()];
}
