/**
 * What a CNI plugin is inside this process: an object of synchronous functions over one context.
 *
 * The thread stands in the host's namespace; a plugin enters the container's with `netns.run(context.netns, …)`.
 * Firewall changes are not made but collected in `context.firewall`; the runtime makes them, all or none, when the
 * chain is through (ADD) or while it unwinds (DEL). A plugin that throws in the middle of an ADD leaves the cleaning to
 * DEL, which the runtime then runs over the whole chain: so DEL must cope with anything that is half there, with a
 * missing namespace, and with being run twice.
 */
import type { FirewallBatch } from "../../firewall/batch.ts";
import type { NetConf, Result } from "../types.ts";

export interface PluginContext {
  readonly containerId: string;
  /** Path of the container's namespace. On DEL it may be `""` or gone. */
  readonly netns: string;
  readonly ifName: string;
  /** `CNI_ARGS` by name (`IP`, `MAC`, `K8S_POD_NAME`, …). */
  readonly args: ReadonlyMap<string, string>;
  /** The plugin's configuration; `prevResult` is in the newest form, and the final one on DEL and CHECK if it is known. */
  readonly conf: NetConf;
  /** Rules to add or remove. */
  readonly firewall: FirewallBatch;
  /** The address plugin that `conf.ipam.type` names, ours or a foreign one; an empty type gives an empty result. */
  readonly ipam: Ipam;
}

export interface Ipam {
  /** The addresses that were reserved. The caller gives them back by `del` if it can't go on. */
  add(): Result;
  del(): void;
  check(): void;
}

export interface GcContext {
  readonly conf: NetConf;
  /** Attachments that live; everything else of this network may go. */
  readonly valid: readonly { containerID: string; ifname: string }[];
  readonly firewall: FirewallBatch;
}

export interface Plugin {
  /** Versions of the specification that the plugin's executable announces, oldest first. */
  readonly versions?: readonly string[];
  /** The result so far (`conf.prevResult`) with what this plugin added. */
  add(context: PluginContext): Result;
  /** Undoes `add`. Quiet about what is gone already. */
  del(context: PluginContext): void;
  /** Throws a CniError when what `add` made is not there any more. */
  check(context: PluginContext): void;
  gc?(context: GcContext): void;
  /** Throws a CniError (code 50) when the plugin could not serve an ADD now. */
  status?(conf: NetConf): void;
}
