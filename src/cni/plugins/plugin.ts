/** What a plugin is: three functions of a context. Nothing in it knows how it was called. */
import type { Backend } from "../../firewall/backend.ts";
import type { FirewallBatch } from "../../firewall/batch.ts";
import type { NameBook } from "../name-book.ts";
import type { PluginConf, Result } from "../types.ts";
import type { Field } from "./field.ts";

export interface PluginContext {
  conf: PluginConf;
  /** The JSON text that `conf` came from, or a longer one around it, where it is known. */
  source?: string;
  /** Name of the network. */
  network: string;
  dataDirectory: string;
  cniVersion: string;
  containerId: string;
  /** Path of the namespace; "" at a DEL that has none. */
  netns: string;
  ifName: string;
  /** CNI_ARGS. */
  args: Record<string, string>;
  /** Capability arguments meant for this plugin. */
  runtimeConfig: Record<string, unknown>;
  /** The result so far at ADD; the final one at CHECK and DEL, if it is known. */
  prevResult: Result | undefined;
  /**
   * Where rules are kept unless the configuration says: `portolan` (when absent) in the engine, `nftables` where a foreign
   * runtime executes the plugin, whose other plugins may be Go's. For the functions of `rules.ts`.
   */
  backend?: Exclude<Backend, "iptables">;
  /**
   * Firewall elements and rules to add or remove. The runtime makes the changes of a whole chain in one transaction: at the end of
   * ADD, and before an address is given back in DEL.
   */
  firewall: FirewallBatch;
  /** Who tells names of containers, where no engine of ours does that itself. */
  names?: () => Promise<NameBook>;
  /** Runs the IPAM plugin that `conf.ipam.type` names. */
  ipam: { add(): Promise<Result>; del(): Promise<void>; check(): Promise<void> };
}

export interface Plugin {
  /** What its configuration may hold besides the keys that every plugin has (SPEC.md, "Plugin configuration objects"). */
  fields?: readonly Field[];
  add(context: PluginContext): Promise<Result> | Result;
  /** Quiet when there is nothing to remove. */
  del(context: PluginContext): Promise<void> | void;
  check(context: PluginContext): Promise<void> | void;
  /**
   * Puts into `firewall` what ADD put there, by the result of that ADD (always known here), and sets the host's sysctls
   * again. Absent where a plugin has no part in either.
   */
  refresh?(context: PluginContext): void;
  /** Gives up what belongs to attachments that are not in `valid`. */
  gc?(context: GcContext): Promise<void> | void;
  /** When an attachment was last given something that outlives a boot, in milliseconds since 1970; undefined for never. */
  lastUsed?(context: StatusContext): number | undefined;
  /** The network is removed: what is kept for it goes, where it is nobody's. */
  forget?(context: StatusContext): void;
  /** Throws a CniError (code 50) where an ADD could not succeed now. */
  status?(context: StatusContext): Promise<void> | void;
}

export interface StatusContext {
  conf: PluginConf;
  network: string;
  /** Where host-local keeps addresses unless the conflist says (`ipam.dataDir`). */
  dataDirectory: string;
}

export interface GcContext extends StatusContext {
  valid: readonly { containerId: string; ifName: string }[];
  /** As that of an attachment; whoever called the plugin commits it. */
  firewall: FirewallBatch;
  /** As that of an attachment. */
  names?: PluginContext["names"];
  /** Only what is older than this goes: milliseconds since 1970. */
  before?: number;
}

export function emptyResult(cniVersion: string): Result {
  return { cniVersion, interfaces: [], ips: [], routes: [], dns: {} };
}
