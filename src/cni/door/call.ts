/** One call of one plugin: the verb is done, and the firewall with it. */
import { accessSync, constants, statSync } from "node:fs";
import { join } from "node:path";
import { ErrorList, errorText } from "../../base/errors.ts";
import { log } from "../../base/log.ts";
import { FirewallBatch } from "../../firewall/batch.ts";
import { takeTurnsAt } from "../../firewall/transaction.ts";
import { delegation, giveBackFirst } from "../delegate.ts";
import { execute } from "../exec.ts";
import { DATA_DIRECTORY } from "../foreign.ts";
import type { Plugin, PluginContext } from "../plugins/plugin.ts";
import { formatResult } from "../result.ts";
import { CNI_ERROR, CniError, type Result } from "../types.ts";
import { type Configuration, readAttachments, readPrevResult } from "./configuration.ts";
import { type Call, type Environment, readArgs } from "./environment.ts";
import { type Found, findAddressPlugin } from "./find.ts";

export interface Request {
  name: string;
  plugin: Plugin;
  call: Call;
  configuration: Configuration;
  /** What an address plugin of others is given, as it came. */
  env: Environment;
  stdin: Uint8Array;
}

const nameBook = async () => new (await import("../name-book.ts")).NameBook();

/**
 * In a user's namespaces, where rootless podman calls plugins, `/run` is not ours to write to: turns for that namespace's
 * firewall are taken in the user's run directory.
 */
function chooseTurns({ XDG_RUNTIME_DIR: own }: Environment): void {
  if (!own) return;
  try {
    accessSync("/run", constants.W_OK);
  } catch {
    takeTurnsAt(join(own, "portolan/locks/cni-firewall"));
  }
}

/** Does what the verb says. ADD gives the result in the form of the configuration's version, the others nothing. */
export async function perform(request: Request): Promise<Record<string, unknown> | undefined> {
  const { plugin, call, configuration, env } = request;
  chooseTurns(env);
  switch (call.verb) {
    case "ADD":
      refuseOurNetns(call);
      return formatResult(await add(request), configuration.cniVersion);
    case "CHECK":
      await plugin.check(contextOf(request));
      return undefined;
    case "DEL": {
      const ours = isOurNetns(call);
      // Nothing in our own namespace was made by an ADD, so nothing in it is to go.
      await del(plugin, contextOf(ours ? { ...request, call: { ...call, netns: "" } } : request));
      refuseOurNetns(call);
      return undefined;
    }
    default:
      return about(request);
  }
}

async function add(request: Request): Promise<Result> {
  const context = contextOf(request);
  let hasAddress = false;
  const ipam: PluginContext["ipam"] = {
    ...context.ipam,
    async add() {
      const result = await context.ipam.add();
      hasAddress = true;
      return result;
    },
  };
  try {
    const result = await request.plugin.add({ ...context, ipam });
    try {
      context.firewall.commit();
    } catch (error) {
      // While the interface lives, nobody else may be given its address.
      await Promise.try(() => request.plugin.del({ ...context, prevResult: result })).catch(() => {});
      throw error;
    }
    return result;
  } catch (error) {
    // As Go's plugins do: who reserved an address and then fails gives it back. The rest is for the runtime's DEL, and
    // the rules that were collected are nobody's.
    if (hasAddress)
      await contextOf(request)
        .ipam.del()
        .catch(() => {});
    throw error;
  }
}

async function del(plugin: Plugin, context: PluginContext): Promise<void> {
  const errors = new ErrorList();
  await giveBackFirst(context);
  await errors.tryAsync(async () => plugin.del(context));
  errors.try(() => context.firewall.commit());
  if (errors.errors.length > 0) throw errors.errors[0];
}

/** GC and STATUS: of the plugin and of its address plugin, which no runtime asks itself. */
async function about({ plugin, call, configuration, env, stdin }: Request): Promise<undefined> {
  const { conf, network } = configuration;
  const context = { conf, network, dataDirectory: DATA_DIRECTORY };
  const isGc = call.verb === "GC";
  const valid = isGc ? readAttachments(conf) : [];
  const firewall = new FirewallBatch();
  const ask = async (one: Plugin) => {
    if (!isGc) return one.status?.(context);
    await one.gc?.({ ...context, valid, firewall, names: nameBook });
    firewall.commit();
  };
  await ask(plugin);
  const type = conf.ipam?.type;
  if (!type) return undefined;
  let found: Found;
  try {
    found = await findAddressPlugin(type, call.path);
  } catch (error) {
    throw new CniError(CNI_ERROR.NOT_AVAILABLE, errorText(error));
  }
  if (found.plugin) await ask(found.plugin);
  else await execute(found.file, env, stdin);
  return undefined;
}

function isOurNetns({ netns, mayBeOurNetns }: Call): boolean {
  if (mayBeOurNetns || netns === "") return false;
  try {
    const [there, here] = [statSync(netns), statSync("/proc/thread-self/ns/net")];
    return there.dev === here.dev && there.ino === here.ino;
  } catch {
    return false;
  }
}

function refuseOurNetns(call: Call): void {
  if (isOurNetns(call))
    throw new CniError(
      CNI_ERROR.INVALID_NETNS,
      "plugin's netns and netns from CNI_NETNS should not be the same",
    );
}

/** At DEL a result that can't be read is as one that nobody kept: what is left goes all the same. */
function prevResultOf(configuration: Configuration, isDel: boolean): Result | undefined {
  try {
    return readPrevResult(configuration);
  } catch (error) {
    if (!isDel) throw error;
    log.warn(errorText(error));
    return undefined;
  }
}

function contextOf({ name, call, configuration, env, stdin }: Request): PluginContext {
  const { conf, network, cniVersion, runtimeConfig } = configuration;
  const isDel = call.verb === "DEL";
  const type = conf.ipam?.type;
  const context: Omit<PluginContext, "ipam"> = {
    conf,
    source: new TextDecoder().decode(stdin),
    network,
    dataDirectory: DATA_DIRECTORY,
    backend: "nftables",
    cniVersion,
    containerId: call.containerId,
    netns: call.netns,
    ifName: call.ifName,
    args: readArgs(call.args, type ? [name, type] : [name], isDel),
    runtimeConfig,
    prevResult: prevResultOf(configuration, isDel),
    firewall: new FirewallBatch(),
    names: nameBook,
  };
  let found: Promise<Found> | undefined;
  const find = () => {
    found ??= findAddressPlugin(type!, call.path);
    return found;
  };
  const ipam = delegation(context, {
    plugin: async () => (await find()).plugin,
    execute: async command => execute((await find()).file, { ...env, CNI_COMMAND: command }, stdin),
  });
  return { ...context, ipam };
}
