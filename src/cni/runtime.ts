/** The CNI runtime: chains of plugins, forward for ADD, backward for DEL. Theory: this room's README. */
import { BugError, ErrorList } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { FirewallBatch } from "../firewall/batch.ts";
import { owner } from "../firewall/element.ts";
import { type Attachment, checkAttachment } from "./attachment.ts";
import { ResultCache } from "./cache.ts";
import { parseConfList } from "./conflist.ts";
import { delegation } from "./delegate.ts";
import { execPlugin, findPlugin } from "./exec.ts";
import { DATA_DIRECTORY, foreignCapabilities, foreignConf } from "./foreign.ts";
import type { Plugin, PluginContext, StatusContext } from "./plugins/plugin.ts";
import { loadPlugin } from "./plugins/table.ts";
import { formatResult, parseResult } from "./result.ts";
import { CNI_ERROR, CniError, type NetConfList, type PluginConf, type Result } from "./types.ts";

export type { Attachment } from "./attachment.ts";

export interface RuntimeOptions {
  cacheDirectory?: string;
  /** Where host-local keeps addresses, also another's, which is told of it. */
  dataDirectory?: string;
  /** CNI_PATH: where foreign plugins are. */
  pluginPath?: readonly string[];
  /** Plugin types that are ours but shall be executed all the same. */
  foreign?: readonly string[];
  /** Who keeps rules where a configuration does not say. */
  backend?: PluginContext["backend"];
}

export class CniRuntime {
  readonly cache: ResultCache;
  readonly #dataDirectory: string;
  readonly #path: readonly string[];
  readonly #foreign: ReadonlySet<string>;
  readonly #backend: PluginContext["backend"];

  constructor(options: RuntimeOptions = {}) {
    this.cache = new ResultCache(options.cacheDirectory);
    this.#dataDirectory = options.dataDirectory ?? DATA_DIRECTORY;
    this.#path = options.pluginPath ?? [
      "/usr/local/libexec/cni",
      "/usr/libexec/cni",
      "/usr/local/lib/cni",
      "/usr/lib/cni",
      "/opt/cni/bin",
    ];
    this.#foreign = new Set(options.foreign);
    this.#backend = options.backend;
  }

  /** Joins the namespace to the network. After a failure nothing of it is left. */
  async add(list: NetConfList, attachment: Attachment): Promise<Result> {
    checkAttachment(attachment);
    let result: Result | undefined;
    try {
      const firewall = new FirewallBatch();
      for (const plugin of list.plugins)
        result = await this.#run("ADD", list, plugin, attachment, result, firewall);
      firewall.commit();
      if (!result) throw new BugError("a chain of plugins gave no result");
      this.cache.write({
        containerId: attachment.containerId,
        ifName: attachment.ifName,
        networkName: list.name,
        netns: attachment.netns,
        config: list.source,
        cniArgs: attachment.cniArgs ?? [],
        capabilityArgs: attachment.capabilityArgs ?? {},
        result,
      });
      return result;
    } catch (error) {
      // What went wrong first is what the person must hear of.
      await this.#delete(list, attachment, result).catch(() => {});
      throw error;
    }
  }

  /**
   * Takes the namespace off the network, by the cached configuration where there is one. Every plugin is called, the last
   * first, whatever the others answer; what failed is thrown together at the end.
   */
  async del(list: NetConfList | undefined, network: string, attachment: Attachment): Promise<void> {
    checkAttachment(attachment);
    const cached = this.cache.read(network, attachment.containerId, attachment.ifName);
    const chain = cached ? (parseOrUndefined(cached.config) ?? list) : list;
    if (!chain) return this.cache.remove(network, attachment.containerId, attachment.ifName);
    const complete: Attachment = {
      ...attachment,
      cniArgs: attachment.cniArgs ?? cached?.cniArgs,
      capabilityArgs: attachment.capabilityArgs ?? cached?.capabilityArgs,
    };
    await this.#delete(chain, complete, cached?.result);
  }

  async #delete(list: NetConfList, attachment: Attachment, result: Result | undefined): Promise<void> {
    const errors = new ErrorList();
    const firewall = new FirewallBatch();
    for (const plugin of list.plugins.toReversed())
      await errors.tryAsync(() => this.#run("DEL", list, plugin, attachment, result, firewall));
    errors.try(() => firewall.commit());
    if (errors.errors.length === 0) this.cache.remove(list.name, attachment.containerId, attachment.ifName);
    errors.throwIfAny(`can't take container ${attachment.containerId.slice(0, 12)} off network ${list.name}`);
  }

  /**
   * Makes an attachment's part of the firewall anew, in one transaction: for a ruleset that somebody emptied, and for
   * ports (`capabilityArgs`) that are others than before. Interface, addresses and connections stay.
   */
  async refresh(network: string, attachment: Attachment): Promise<void> {
    const cached = this.cache.read(network, attachment.containerId, attachment.ifName);
    const list = cached && parseOrUndefined(cached.config);
    if (!cached || !list)
      throw new CniError(
        CNI_ERROR.UNKNOWN_CONTAINER,
        `container ${attachment.containerId.slice(0, 12)} is not known on network ${network}`,
      );
    const capabilityArgs = { ...cached.capabilityArgs, ...attachment.capabilityArgs };
    const complete: Attachment = { ...attachment, cniArgs: cached.cniArgs, capabilityArgs };
    const firewall = new FirewallBatch();
    firewall.remove(owner(attachment.containerId, attachment.ifName));
    for (const plugin of list.plugins) {
      const builtin = await this.#builtin(plugin.type);
      if (!builtin)
        log.warn(`the rules of plugin ${plugin.type} on network ${network} are its own and stay as they are`);
      const config = runtimeConfig(plugin, complete);
      builtin?.refresh?.(this.#context(list, plugin, complete, cached.result, config, firewall));
    }
    firewall.commit();
    this.cache.write({ ...cached, netns: attachment.netns, capabilityArgs });
  }

  /** Throws where the attachment is not as ADD left it. */
  async check(list: NetConfList, attachment: Attachment): Promise<void> {
    checkAttachment(attachment);
    if (list.disableCheck) return;
    const cached = this.cache.read(list.name, attachment.containerId, attachment.ifName);
    const complete = { ...attachment, capabilityArgs: attachment.capabilityArgs ?? cached?.capabilityArgs };
    const firewall = new FirewallBatch();
    for (const plugin of list.plugins)
      await this.#run("CHECK", list, plugin, complete, cached?.result, firewall);
  }

  /**
   * Removes every attachment of the network that is not in `valid` (spec §GC, driven by the result cache), then lets
   * each plugin give up what else it keeps for such.
   */
  async gc(list: NetConfList, valid: readonly { containerId: string; ifName: string }[]): Promise<void> {
    if (list.disableGC) return;
    const errors = new ErrorList();
    for (const entry of this.cache.entries(list.name)) {
      if (valid.some(one => one.containerId === entry.containerId && one.ifName === entry.ifName)) continue;
      await errors.tryAsync(() => this.del(list, list.name, { ...entry, netns: "" }));
    }
    const attachments = valid.map(one => ({ containerID: one.containerId, ifname: one.ifName }));
    // Newer plugins read the first key, those of the specification's drafts the second.
    const extra = { "cni.dev/valid-attachments": attachments, "cni.dev/attachments": attachments };
    for (const conf of list.plugins)
      for (const type of [conf.type, conf.ipam?.type])
        await errors.tryAsync(async () => {
          const builtin = type ? await this.#builtin(type) : undefined;
          if (builtin) {
            const firewall = new FirewallBatch();
            builtin.gc?.({ ...this.#about(list, conf), valid, firewall });
            firewall.commit();
          }
          // A foreign plugin takes its address plugin along.
          else if (type === conf.type && speaksGc(list)) await this.#ask("GC", list, { ...conf, ...extra });
        });
    errors.throwIfAny(`can't clean up network ${list.name}`);
  }

  /** Gives up what plugins keep for a network that is removed. */
  async forget(list: NetConfList): Promise<void> {
    for (const conf of list.plugins)
      for (const type of [conf.type, conf.ipam?.type]) {
        const builtin = type ? await this.#builtin(type) : undefined;
        builtin?.forget?.(this.#about(list, conf));
      }
  }

  /** Throws the first reason why a container could not join the network now. */
  async status(list: NetConfList): Promise<void> {
    for (const conf of list.plugins)
      for (const type of [conf.type, conf.ipam?.type]) {
        if (!type) continue;
        const builtin = await this.#builtin(type);
        if (builtin) builtin.status?.(this.#about(list, conf));
        else {
          findPlugin(type, this.#path);
          if (type === conf.type && speaksGc(list)) await this.#ask("STATUS", list, conf);
        }
      }
  }

  #about(list: NetConfList, conf: PluginConf): StatusContext {
    return { conf, network: list.name, dataDirectory: this.#dataDirectory };
  }

  /** GC and STATUS: about the network, not about a container. */
  async #ask(command: "GC" | "STATUS", list: NetConfList, conf: PluginConf): Promise<void> {
    await execPlugin(
      conf.type,
      { ...foreignConf(conf, this.#dataDirectory), name: list.name, cniVersion: list.cniVersion },
      { command, containerId: "", netns: "", ifName: "", args: "", path: this.#path },
    );
  }

  /** One plugin of a chain. DEL and CHECK give the result back unchanged. */
  async #run(
    command: "ADD" | "DEL" | "CHECK",
    list: NetConfList,
    plugin: PluginConf,
    attachment: Attachment,
    prevResult: Result | undefined,
    firewall: FirewallBatch,
  ): Promise<Result | undefined> {
    const config = runtimeConfig(plugin, attachment);
    const builtin = await this.#builtin(plugin.type);
    if (!builtin) {
      // A foreign plugin may count on the rules of those before it.
      firewall.commit();
      const answer = await this.#exec(command, list, plugin, plugin.type, attachment, prevResult, config);
      return command === "ADD" ? parseResult(answer, list.cniVersion) : prevResult;
    }
    const context = this.#context(list, plugin, attachment, prevResult, config, firewall);
    if (command === "ADD") return builtin.add(context);
    await (command === "DEL" ? builtin.del(context) : builtin.check(context));
    return prevResult;
  }

  async #builtin(type: string): Promise<Plugin | undefined> {
    return this.#foreign.has(type) ? undefined : loadPlugin(type);
  }

  #context(
    list: NetConfList,
    conf: PluginConf,
    attachment: Attachment,
    prevResult: Result | undefined,
    runtimeConfig: Record<string, unknown>,
    firewall: FirewallBatch,
  ): PluginContext {
    const context: Omit<PluginContext, "ipam"> = {
      conf,
      source: list.source,
      network: list.name,
      dataDirectory: this.#dataDirectory,
      cniVersion: list.cniVersion,
      containerId: attachment.containerId,
      netns: attachment.netns,
      ifName: attachment.ifName,
      args: Object.fromEntries(attachment.cniArgs ?? []),
      runtimeConfig: {
        ...(attachment.capabilityArgs?.ips ? { ips: attachment.capabilityArgs.ips } : {}),
        ...runtimeConfig,
      },
      prevResult: prevResult && structuredClone(prevResult),
      backend: this.#backend,
      firewall,
    };
    const ipam = delegation(context, {
      plugin: async () => (conf.ipam?.type ? this.#builtin(conf.ipam.type) : undefined),
      execute: command =>
        this.#exec(
          command,
          list,
          conf,
          conf.ipam!.type!,
          attachment,
          command === "ADD" ? undefined : prevResult,
          runtimeConfig,
        ),
    });
    return { ...context, ipam };
  }

  #exec(
    command: "ADD" | "DEL" | "CHECK",
    list: NetConfList,
    plugin: PluginConf,
    type: string,
    attachment: Attachment,
    prevResult: Result | undefined,
    runtimeConfig: Record<string, unknown>,
  ): Promise<unknown> {
    const conf: Record<string, unknown> = {
      ...foreignConf(plugin, this.#dataDirectory),
      name: list.name,
      cniVersion: list.cniVersion,
    };
    if (prevResult) conf.prevResult = formatResult(prevResult, list.cniVersion);
    if (Object.keys(runtimeConfig).length) conf.runtimeConfig = foreignCapabilities(runtimeConfig);
    return execPlugin(type, conf, {
      command,
      containerId: attachment.containerId,
      netns: attachment.netns,
      ifName: attachment.ifName,
      args: (attachment.cniArgs ?? []).map(([key, text]) => `${key}=${text}`).join(";"),
      path: this.#path,
    });
  }
}

/** The capability arguments that a plugin asks for. */
function runtimeConfig(plugin: PluginConf, attachment: Attachment): Record<string, unknown> {
  const wanted = Object.entries(plugin.capabilities ?? {}).filter(
    ([key, yes]) => yes && attachment.capabilityArgs?.[key] !== undefined,
  );
  return Object.fromEntries(wanted.map(([key]) => [key, attachment.capabilityArgs![key]]));
}

/** GC and STATUS came with version 1.1.0. */
const speaksGc = (list: NetConfList) => list.cniVersion === "1.1.0";

function parseOrUndefined(source: string): NetConfList | undefined {
  try {
    return parseConfList(source);
  } catch {
    return undefined;
  }
}
