/** The CNI runtime: chains of plugins, forward for ADD, backward for DEL. Theory: this room's README. */
import { BugError, ErrorList } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { FirewallBatch } from "../firewall/batch.ts";
import { owner } from "../firewall/element.ts";
import { linkByName } from "../netlink/link.ts";
import { NetlinkSocket } from "../netlink/socket.ts";
import { isNetns, run } from "../sys/netns.ts";
import { type Attachment, checkAttachment } from "./attachment.ts";
import { type CacheEntry, ResultCache } from "./cache.ts";
import { parseConfList } from "./conflist.ts";
import { named } from "./exec.ts";
import { knowsPrevResult, PluginRunner, type RunnerOptions, speaksGc } from "./runner.ts";
import { CNI_ERROR, CniError, type NetConfList, type PluginConf, type Result } from "./types.ts";

export type { Attachment } from "./attachment.ts";

export interface RuntimeOptions extends RunnerOptions {
  cacheDirectory?: string;
}

/** An attachment that is to stay. */
export type Valid = Pick<Attachment, "containerId" | "ifName">;

export class CniRuntime {
  readonly cache: ResultCache;
  readonly #runner: PluginRunner;

  constructor(options: RuntimeOptions = {}) {
    this.cache = new ResultCache(options.cacheDirectory);
    this.#runner = new PluginRunner(options);
  }

  /** Joins the namespace to the network. After a failure nothing of it is left. */
  async add(list: NetConfList, attachment: Attachment): Promise<Result> {
    checkAttachment(attachment);
    this.#refuseTwice(list, attachment);
    let result: Result | undefined;
    try {
      const firewall = new FirewallBatch();
      for (const conf of list.plugins)
        result = await this.#runner.run("ADD", { list, conf, attachment, prevResult: result, firewall });
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

  /** An attachment that is there would be taken away by the undoing of a second one. */
  #refuseTwice(list: NetConfList, { containerId, netns, ifName }: Attachment): void {
    if (!this.cache.read(list.name, containerId, ifName) || !isNetns(netns)) return;
    using nl = run(netns, () => new NetlinkSocket());
    if (linkByName(nl, ifName))
      throw new CniError(
        CNI_ERROR.INTERNAL,
        `container ${containerId.slice(0, 12)} is on network ${list.name} already: it has ${ifName}`,
      );
  }

  /**
   * Takes the namespace off the network, by the cached configuration where there is one. Every plugin is called, the last
   * first, whatever the others answer; what failed is thrown together at the end.
   */
  async del(list: NetConfList | undefined, network: string, attachment: Attachment): Promise<void> {
    checkAttachment(attachment);
    const cached = this.cache.read(network, attachment.containerId, attachment.ifName);
    const chain = (cached && parseOrUndefined(cached.config)) ?? list;
    if (!chain) return this.cache.remove(network, attachment.containerId, attachment.ifName);
    await this.#delete(chain, asAdded(attachment, cached), cached?.result);
  }

  async #delete(list: NetConfList, attachment: Attachment, prevResult: Result | undefined): Promise<void> {
    const errors = new ErrorList();
    const firewall = new FirewallBatch();
    for (const conf of list.plugins.toReversed())
      await errors.tryAsync(() => this.#runner.run("DEL", { list, conf, attachment, prevResult, firewall }));
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
    for (const conf of list.plugins) {
      const builtin = await this.#runner.builtin(conf.type);
      if (!builtin)
        log.warn(`the rules of plugin ${conf.type} on network ${network} are its own and stay as they are`);
      const work = { list, conf, attachment: complete, prevResult: cached.result, firewall };
      builtin?.refresh?.(this.#runner.context(work));
    }
    firewall.commit();
    this.cache.write({ ...cached, netns: attachment.netns, capabilityArgs });
  }

  /** Throws the first thing that is not as ADD left it. */
  async check(list: NetConfList, attachment: Attachment): Promise<void> {
    checkAttachment(attachment);
    if (!knowsPrevResult(list.cniVersion))
      throw new CniError(
        CNI_ERROR.INCOMPATIBLE_VERSION,
        `configuration version ${JSON.stringify(list.cniVersion)} does not support the CHECK command`,
      );
    if (list.disableCheck) return;
    const cached = this.cache.read(list.name, attachment.containerId, attachment.ifName);
    const work = { list, attachment: asAdded(attachment, cached), prevResult: cached?.result };
    const firewall = new FirewallBatch();
    for (const conf of list.plugins) await this.#runner.run("CHECK", { ...work, conf, firewall });
  }

  /**
   * Removes every attachment of the network that is not in `valid` (SPEC.md, "GC"; driven by the result cache), then lets
   * each plugin give up what else it keeps for such.
   */
  async gc(list: NetConfList, valid: readonly Valid[]): Promise<void> {
    if (list.disableGC) return;
    const errors = new ErrorList();
    for (const entry of this.cache.entries(list.name)) {
      if (valid.some(one => one.containerId === entry.containerId && one.ifName === entry.ifName)) continue;
      await errors.tryAsync(() => this.del(list, list.name, { ...entry, netns: "" }));
    }
    const attachments = valid.map(one => ({ containerID: one.containerId, ifname: one.ifName }));
    // Newer plugins read the first key, those of the specification's drafts the second.
    const extra = { "cni.dev/valid-attachments": attachments, "cni.dev/attachments": attachments };
    await this.#collect(list, valid, errors);
    if (speaksGc(list))
      await this.#eachForeign(list, (conf, type) =>
        errors.tryAsync(() => this.#runner.ask("GC", list, { ...conf, ...extra }, type)),
      );
    errors.throwIfAny(`can't clean up network ${list.name}`);
  }

  /**
   * Before the first address of a boot is given out: gives up what died with an earlier one, cached attachments whose
   * namespaces are gone, and addresses that nobody else has. A clock that was set since the boot makes young things look old;
   * those have living namespaces.
   */
  async reconcile(list: NetConfList, bootTime: number): Promise<void> {
    const lastUsed = await Promise.all(
      list.plugins.map(async conf =>
        (await this.#runner.builtin(conf.ipam?.type))?.lastUsed?.(this.#runner.about(list, conf)),
      ),
    );
    if (!lastUsed.some(one => one !== undefined && one < bootTime)) return;
    const errors = new ErrorList();
    const isDead = ({ netns, since }: { netns: string; since: number }) =>
      since < bootTime && netns !== "" && !isNetns(netns);
    for (const entry of this.cache.entries(list.name))
      if (isDead(entry)) await errors.tryAsync(() => this.del(list, list.name, { ...entry, netns: "" }));
    await this.#collect(list, this.cache.entries(list.name), errors, bootTime);
    errors.throwIfAny(`can't clean up network ${list.name}`);
  }

  /** GC of our own plugins; of what is older than a time, if one is given: only addresses outlive a boot. */
  async #collect(
    list: NetConfList,
    valid: readonly Valid[],
    errors: ErrorList,
    before?: number,
  ): Promise<void> {
    for (const conf of list.plugins)
      for (const type of before === undefined ? [conf.type, conf.ipam?.type] : [conf.ipam?.type])
        await errors.tryAsync(async () => {
          const builtin = await this.#runner.builtin(type);
          const firewall = new FirewallBatch();
          const { names } = this.#runner;
          const about = { ...this.#runner.about(list, conf), valid, firewall, before, names };
          await named(type!, "GC", () => builtin?.gc?.(about));
          firewall.commit();
        });
  }

  /** Plugins that are executed. One of others takes its address plugin along; one of ours does not. */
  async #eachForeign(
    list: NetConfList,
    run: (conf: PluginConf, type: string) => Promise<unknown>,
  ): Promise<void> {
    for (const conf of list.plugins) {
      const ipam = conf.ipam?.type;
      if (!(await this.#runner.builtin(conf.type))) await run(conf, conf.type);
      else if (ipam && !(await this.#runner.builtin(ipam))) await run(conf, ipam);
    }
  }

  /** Gives up what plugins keep for a network that is removed. */
  async forget(list: NetConfList): Promise<void> {
    for (const conf of list.plugins)
      for (const type of [conf.type, conf.ipam?.type]) {
        const builtin = await this.#runner.builtin(type);
        builtin?.forget?.(this.#runner.about(list, conf));
      }
  }

  /** Throws the first reason why a container could not join the network now. */
  async status(list: NetConfList): Promise<void> {
    for (const conf of list.plugins)
      for (const type of [conf.type, conf.ipam?.type]) {
        if (!type) continue;
        const builtin = await this.#runner.builtin(type);
        const about = this.#runner.about(list, conf);
        await named(type, "STATUS", () => (builtin ? builtin.status?.(about) : this.#runner.find(type)));
      }
    if (speaksGc(list))
      await this.#eachForeign(list, (conf, type) => this.#runner.ask("STATUS", list, conf, type));
  }
}

/** The attachment with the arguments of its ADD, where nobody gives others. */
function asAdded(attachment: Attachment, cached: CacheEntry | undefined): Attachment {
  return {
    ...attachment,
    cniArgs: attachment.cniArgs ?? cached?.cniArgs,
    capabilityArgs: attachment.capabilityArgs ?? cached?.capabilityArgs,
  };
}

function parseOrUndefined(source: string): NetConfList | undefined {
  try {
    return parseConfList(source);
  } catch {
    return undefined;
  }
}
