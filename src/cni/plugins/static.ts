/** static: addresses and routes written in the configuration, or asked for by the runtime. Keeps no state. */
import { parseCidr } from "../../wire/addr.ts";
import { CNI_ERROR, CniError, type Dns, type ResultRoute } from "../types.ts";
import { emptyResult, type Plugin } from "./plugin.ts";

export const staticIpam: Plugin = {
  add(context) {
    const ipam = context.conf.ipam as {
      addresses?: { address: string; gateway?: string }[];
      routes?: ResultRoute[];
      dns?: Dns;
    };
    const asked = context.runtimeConfig.ips as string[] | undefined;
    const chosen = asked
      ? asked.map(address => ({ address, gateway: undefined }))
      : [...(ipam.addresses ?? [])];
    if (context.args.IP)
      for (const address of context.args.IP.split(","))
        chosen.push({ address, gateway: context.args.GATEWAY });
    for (const { address } of chosen)
      if (!parseCidr(address))
        throw new CniError(
          CNI_ERROR.INVALID_CONFIG,
          `invalid address ${JSON.stringify(address)}: an address with its prefix is needed`,
        );
    const result = emptyResult(context.cniVersion);
    result.ips = chosen.map(({ address, gateway }) => ({ address, gateway }));
    result.routes = ipam.routes ?? [];
    result.dns = ipam.dns ?? {};
    return result;
  },
  del() {},
  check() {},
};
