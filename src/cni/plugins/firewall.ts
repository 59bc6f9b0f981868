/**
 * firewall: who may reach a container through the host, by `ingressPolicy`:
 *
 * - `open` (the default): everybody.
 * - `same-bridge`: not from other bridges with this policy. `isolated`: not from neighbours on the bridge either.
 *
 * And it lets the container's packets through a host's filter that drops by policy (`../../firewall/gate.ts`).
 */
import { owner } from "../../firewall/element.ts";
import { forwarded, isClosed } from "../../firewall/gate.ts";
import { type IngressPolicy, isolated } from "../../firewall/isolation.ts";
import { Firewall, listElements } from "../../firewall/transaction.ts";
import { CNI_ERROR, CniError, type Result } from "../types.ts";
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

function admit(context: PluginContext): Result {
  const result = context.prevResult ?? emptyResult(context.cniVersion);
  const mine = owner(context.containerId, context.ifName);
  const kernel = new Firewall();
  for (const target of addressesOf(result, context.ifName))
    if (isClosed(kernel, target.version)) context.firewall.add(forwarded(mine, target));
  context.firewall.add(...elementsOf(context));
  return result;
}

export const firewall: Plugin = {
  add: admit,
  refresh: context => void admit(context),
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
