/**
 * firewall: who may reach a container through the host, by `ingressPolicy`:
 *
 * - `open` (the default): everybody. Our own table drops nothing, so there is nothing to allow in it; another table's
 *   drop can't be overruled from here (`../../firewall/README.md`, Limits).
 * - `same-bridge`: not from other bridges with this policy. `isolated`: not from neighbours on the bridge either.
 */
import { owner } from "../../firewall/element.ts";
import { type IngressPolicy, isolated } from "../../firewall/isolation.ts";
import { listElements } from "../../firewall/transaction.ts";
import { CNI_ERROR, CniError } from "../types.ts";
import { addressesOf } from "./address.ts";
import { emptyResult, type Plugin, type PluginContext } from "./plugin.ts";

function elementsOf(context: PluginContext) {
  const policy = context.conf.ingressPolicy || "open";
  if (policy === "open") return [];
  if (policy !== "same-bridge" && policy !== "isolated")
    throw new CniError(
      CNI_ERROR.INVALID_CONFIG,
      `unknown ingressPolicy ${JSON.stringify(policy)}: it can be open, same-bridge or isolated`,
    );
  const result = context.prevResult ?? emptyResult(context.cniVersion);
  const bridge = result.interfaces[0];
  if (!bridge || bridge.sandbox)
    throw new CniError(
      CNI_ERROR.INVALID_CONFIG,
      `ingressPolicy ${policy} needs a bridge before it in the chain`,
    );
  const mine = owner(context.containerId, context.ifName);
  return addressesOf(result, context.ifName).flatMap(target =>
    isolated(mine, bridge.name, target, policy satisfies IngressPolicy),
  );
}

export const firewall: Plugin = {
  add(context) {
    context.firewall.add(...elementsOf(context));
    return context.prevResult ?? emptyResult(context.cniVersion);
  },
  del(context) {
    context.firewall.remove(owner(context.containerId, context.ifName));
  },
  check(context) {
    const there = listElements(["member4", "member6", "strict4", "strict6"]);
    const mine = owner(context.containerId, context.ifName);
    const wanted = elementsOf(context).filter(one => one.owner === mine);
    if (wanted.length > there.filter(one => one.owner === mine).length)
      throw new CniError(
        CNI_ERROR.INTERNAL,
        `container ${context.containerId.slice(0, 12)} is not isolated any more`,
      );
  },
};
