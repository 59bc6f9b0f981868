/** The engine: one open state, and the services on it. Cheap to open; what is heavy loads when it is first used. */
import type { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { chooseDriver, type Driver } from "../image/driver.ts";
import { ImageStore } from "../image/store.ts";
import type { NetdClient } from "../netd/client.ts";
import type { Names } from "../netd/told-names.ts";
import { NetworkService, type ServiceOptions } from "../network/service.ts";
import type { NetworkSetup } from "../network/setup.ts";
import { openDatabase } from "../state/database.ts";
import { userConfig } from "../state/directories.ts";
import { Paths } from "../state/paths.ts";
import { type Identity, userIdentity } from "../userns/identity.ts";
import { type ContainersConf, readContainersConf } from "./conf.ts";
import { PodStore } from "./pod-store.ts";
import { ContainerStore } from "./store.ts";
import { namesOf } from "./told-names.ts";
import { VolumeStore } from "./volume.ts";

/** What stands before the verb on a command line. */
export interface GlobalOptions {
  root?: string;
  runRoot?: string;
  logLevel?: string;
  networkConfigDir?: string;
  /** Name or path of the OCI runtime. */
  runtime?: string;
  conmon?: string;
  cgroupManager?: string;
  storageDriver?: string;
  cniPluginDirs?: string[];
}

export class Engine {
  readonly global: GlobalOptions;
  /** The ordinary user whose engine this is; undefined for root's. */
  readonly user: Identity | undefined;
  readonly paths: Paths;
  readonly db: Database;
  readonly images: ImageStore;
  readonly containers: ContainerStore;
  readonly pods: PodStore;
  readonly volumes: VolumeStore;
  #conf: ContainersConf | undefined;
  #networks: NetworkService | undefined;
  #setup: NetworkSetup | undefined;
  #netd: Promise<NetdClient | undefined> | undefined;
  #names: Names | undefined;

  private constructor(global: GlobalOptions) {
    this.global = global;
    this.user = userIdentity();
    this.paths = Engine.paths(global);
    this.db = openDatabase(this.paths.database);
    this.images = new ImageStore(this.db, this.paths);
    this.containers = new ContainerStore(this.db, this.paths);
    this.pods = new PodStore(this.db, this.paths);
    this.volumes = new VolumeStore(this.db, this.paths);
  }

  /** containers.conf, read when somebody first asks. */
  get conf(): ContainersConf {
    this.#conf ??= readContainersConf(process.env, "/", this.user && userConfig());
    return this.#conf;
  }

  /** How the root file systems of new containers are put up. */
  get storageDriver(): Driver {
    return chooseDriver(this.paths, this.global.storageDriver);
  }

  get networks(): NetworkService {
    this.#networks ??= new NetworkService(this.#networkOptions());
    return this.#networks;
  }

  /** The names by which containers know each other. */
  get names(): Names {
    this.#names ??= namesOf(this);
    return this.#names;
  }

  #networkOptions(): ServiceOptions {
    const { network } = this.conf;
    const users = {
      configDirectory: this.user && join(userConfig(), "cni/net.d"),
      stateDirectory: this.user && join(this.paths.runRoot, "cni"),
    };
    return {
      configDirectory: this.global.networkConfigDir ?? network.network_config_dir ?? users.configDirectory,
      stateDirectory: users.stateDirectory,
      pluginPath: this.global.cniPluginDirs ?? network.cni_plugin_dirs,
      foreignPlugins: network.cni_foreign_plugins,
      defaultNetwork: network.default_network,
      defaultSubnet: network.default_subnet,
      bridgesElsewhere: this.user !== undefined,
    };
  }

  /** What does things to network namespaces: this process, or a helper of its. */
  async networkSetup(): Promise<NetworkSetup> {
    const openNetd = (options: { start: boolean }) => this.netd(options);
    if (!this.#setup) {
      if (this.user) {
        const { HelperSetup } = await import("../network/helper-setup.ts");
        const { runRoot } = this.paths;
        const uplink = this.conf.engine.network_cmd_options;
        this.#setup = new HelperSetup({ runRoot, openNetd, service: this.#networkOptions(), uplink });
      } else {
        const { LocalSetup } = await import("../network/local-setup.ts");
        this.#setup = new LocalSetup(() => this.networks, openNetd);
      }
    }
    return this.#setup;
  }

  /** The data plane; undefined where there is none and none is to be started. */
  async netd(options: { start: boolean }): Promise<NetdClient | undefined> {
    const { runRoot } = this.paths;
    // Most commands that only want to take something back find nobody to take it from.
    if (!this.#netd && !options.start && !existsSync(join(runRoot, "netd.sock"))) return undefined;
    this.#netd ??= import("../netd/client.ts").then(({ NetdClient }) => NetdClient.open(runRoot, options));
    const asked = this.#netd;
    try {
      const client = await asked;
      if (client) return client;
    } catch (error) {
      if (this.#netd === asked) this.#netd = undefined;
      throw error;
    }
    if (this.#netd === asked) this.#netd = undefined;
    return options.start ? this.netd(options) : undefined;
  }

  static open(global: GlobalOptions): Engine {
    return new Engine(global);
  }

  /** Where the engine of these options keeps everything. */
  static paths(global: GlobalOptions): Paths {
    return new Paths({ root: global.root, runRoot: global.runRoot, uid: userIdentity()?.uid });
  }

  /** Ends what killed commands left unfinished. One query when there is nothing. */
  async repair(): Promise<void> {
    const unsettled = this.containers.unsettled();
    if (unsettled.length === 0) return;
    const { repair } = await import("./repair.ts");
    await repair(this, unsettled);
  }

  /** True when `repair` would have something to do. */
  async needsRepair(): Promise<boolean> {
    const unsettled = this.containers.unsettled();
    if (unsettled.length === 0) return false;
    const { needsRepair } = await import("./repair.ts");
    return unsettled.some(one => needsRepair(this, one));
  }

  /** The global options as a command line, for commands that start us again. */
  globalArguments(): string[] {
    const { global } = this;
    const words: string[] = [];
    const add = (name: string, value: string | undefined) => {
      if (value !== undefined) words.push(`--${name}`, value);
    };
    add("root", global.root);
    add("runroot", global.runRoot);
    add("network-config-dir", global.networkConfigDir);
    add("runtime", global.runtime);
    add("conmon", global.conmon);
    add("cgroup-manager", global.cgroupManager);
    add("storage-driver", global.storageDriver);
    for (const directory of global.cniPluginDirs ?? []) add("cni-plugin-dir", directory);
    return words;
  }
}
