/**
 * firewall: lets a container's traffic be forwarded. Our own table drops nothing, so there is nothing to allow in it;
 * another table's policy can't be overruled from here (`../../firewall/README.md`, Limits). So with `ingressPolicy`
 * `open` (the default) this plugin passes the result on.
 */
import { CNI_ERROR, CniError } from "../types.ts";
import { emptyResult, type Plugin } from "./plugin.ts";

export const firewall: Plugin = {
  add(context) {
    const policy = context.conf.ingressPolicy ?? "open";
    if (policy !== "open")
      throw new CniError(
        CNI_ERROR.UNSUPPORTED_FIELD,
        `firewall: ingressPolicy ${JSON.stringify(policy)} is not supported yet; only "open" is`,
      );
    return context.prevResult ?? emptyResult(context.cniVersion);
  },
  del() {},
  check() {},
};
