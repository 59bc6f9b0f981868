/**
 * dnsname: says that the names of this network's containers are to be known on it. Podman's plugin of this name runs a
 * dnsmasq a network; here the engine serves names itself, so that the chain has nothing to do.
 */
import { emptyResult, type Plugin } from "./plugin.ts";

export const dnsname: Plugin = {
  add: context => context.prevResult ?? emptyResult(context.cniVersion),
  del() {},
  check() {},
};
