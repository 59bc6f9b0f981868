/** One plugin of a chain at work: ours as a function of this process, another's executed with libcni's bytes and variables. */
import type { FirewallBatch } from "../firewall/batch.ts";
import type { Attachment } from "./attachment.ts";
import { delegation, giveBackFirst } from "./delegate.ts";
import { execPlugin, findPlugin, hasPlugin, named } from "./exec.ts";
import { DATA_DIRECTORY, foreignCapabilities, foreignConf } from "./foreign.ts";
import { pluginInput } from "./input.ts";
import type { Plugin, PluginContext, StatusContext } from "./plugins/plugin.ts";
import { loadPlugin } from "./plugins/table.ts";
import { formatResult, parseResult } from "./result.ts";
import type { NetConfList, PluginConf, Result } from "./types.ts";

/** Where plugins of others are, unless somebody says. */
const USUAL_PATH = [
  "/usr/local/libexec/cni",
  "/usr/libexec/cni",
  "/usr/local/lib/cni",
  "/usr/lib/cni",
  "/opt/cni/bin",
];

/** In place of types: every plugin that a directory of the path has. */
const ALL = "*";

export interface RunnerOptions {
  /** Where host-local keeps addresses, also another's, which is told of it. */
  dataDirectory?: string;
  /** CNI_PATH: where foreign plugins are. */
  pluginPath?: readonly string[];
  /** Plugin types that are ours but shall be executed all the same; `*`: all that are on the path. */
  foreign?: readonly string[];
  /** Who keeps rules where a configuration does not say. */
  backend?: PluginContext["backend"];
  /** Who tells names of containers; absent where the caller does. */
  names?: PluginContext["names"];
}

/** What a plugin is to work on. */
export interface Work {
  list: NetConfList;
  conf: PluginConf;
  attachment: Attachment;
  prevResult: Result | undefined;
  firewall: FirewallBatch;
}

export class PluginRunner {
  readonly #dataDirectory: string;
  readonly #path: readonly string[];
  readonly #foreign: ReadonlySet<string>;
  readonly #backend: PluginContext["backend"];
  readonly names: PluginContext["names"];

  constructor(options: RunnerOptions) {
    this.#dataDirectory = options.dataDirectory ?? DATA_DIRECTORY;
    this.#path = options.pluginPath ?? USUAL_PATH;
    this.#foreign = new Set(options.foreign);
    this.#backend = options.backend;
    this.names = options.names;
  }

  /** The plugin where it is to run in this process. */
  async builtin(type: string | undefined): Promise<Plugin | undefined> {
    if (!type || this.#foreign.has(type)) return undefined;
    if (this.#foreign.has(ALL) && hasPlugin(type, this.#path)) return undefined;
    return loadPlugin(type);
  }

  /** Throws where an executable of that type is nowhere on the path. */
  find(type: string): void {
    findPlugin(type, this.#path);
  }

  about(list: NetConfList, conf: PluginConf): StatusContext {
    return { conf, network: list.name, dataDirectory: this.#dataDirectory };
  }

  /** DEL and CHECK give the result back unchanged. What fails names the plugin. */
  run(command: "ADD" | "DEL" | "CHECK", work: Work): Promise<Result | undefined> {
    return named(work.conf.type, command, () => this.#run(command, work));
  }

  async #run(command: "ADD" | "DEL" | "CHECK", work: Work): Promise<Result | undefined> {
    const builtin = await this.builtin(work.conf.type);
    if (!builtin) {
      // A foreign plugin may count on the rules of those before it.
      work.firewall.commit();
      const answer = await this.#execute(command, work, work.conf.type);
      return command === "ADD" ? parseResult(answer, work.list.cniVersion) : work.prevResult;
    }
    const context = this.context(work);
    if (command === "ADD") return builtin.add(context);
    if (command === "DEL") await giveBackFirst(context);
    await (command === "DEL" ? builtin.del(context) : builtin.check(context));
    return work.prevResult;
  }

  /** GC and STATUS of a plugin of others, about the network, not about a container. */
  async ask(command: "GC" | "STATUS", list: NetConfList, conf: PluginConf, type = conf.type): Promise<void> {
    const { name, cniVersion } = list;
    const input = pluginInput({ conf: foreignConf(conf, this.#dataDirectory), name, cniVersion });
    const nobody = { containerId: "", netns: "", ifName: "", args: "" };
    await named(type, command, () => execPlugin(type, input, { command, ...nobody, path: this.#path }));
  }

  context({ list, conf, attachment, prevResult, firewall }: Work): PluginContext {
    const { capabilityArgs } = attachment;
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
        ...(capabilityArgs?.ips ? { ips: capabilityArgs.ips } : {}),
        ...runtimeConfig(conf, attachment),
      },
      prevResult: prevResult && structuredClone(prevResult),
      backend: this.#backend,
      firewall,
      names: this.names,
    };
    const ipam = delegation(context, {
      plugin: () => this.builtin(conf.ipam?.type),
      execute: command =>
        named(conf.ipam!.type!, command, () =>
          this.#execute(command, { list, conf, attachment, prevResult, firewall }, conf.ipam!.type!),
        ),
    });
    return { ...context, ipam };
  }

  #execute(command: "ADD" | "DEL" | "CHECK", work: Work, type: string): Promise<unknown> {
    const { list, conf, attachment, prevResult } = work;
    const { name, cniVersion } = list;
    const isTold = prevResult !== undefined && (command !== "DEL" || knowsPrevResult(cniVersion));
    const input = pluginInput({
      conf: foreignConf(conf, this.#dataDirectory),
      name,
      cniVersion,
      prevResult: isTold ? formatResult(prevResult, cniVersion) : undefined,
      runtimeConfig: foreignCapabilities(runtimeConfig(conf, attachment)),
    });
    return execPlugin(type, input, {
      command,
      containerId: attachment.containerId,
      netns: attachment.netns,
      ifName: attachment.ifName,
      args: (attachment.cniArgs ?? []).map(pair => pair.join("=")).join(";"),
      path: this.#path,
    });
  }
}

/** The capability arguments that a plugin asks for. */
function runtimeConfig(conf: PluginConf, { capabilityArgs = {} }: Attachment): Record<string, unknown> {
  const wanted = Object.entries(conf.capabilities ?? {}).filter(
    ([key, yes]) => yes === true && capabilityArgs[key] !== undefined,
  );
  return Object.fromEntries(wanted.map(([key]) => [key, capabilityArgs[key]]));
}

/** CHECK, and a result at DEL, came with version 0.4.0. */
export const knowsPrevResult = (version: string) => !/^0\.[123]\./.test(version);
/** GC and STATUS came with version 1.1.0. */
export const speaksGc = (list: NetConfList) => list.cniVersion === "1.1.0";
