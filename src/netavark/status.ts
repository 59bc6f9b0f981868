/** What netavark answers: for each network the interface that the container has there, and who tells names; or why not. */
import { errorText, UserError } from "../base/errors.ts";
import type { Result } from "../cni/types.ts";
import { formatCidr, formatIP, parseCidr, parseIP } from "../wire/addr.ts";

/** A failure as podman is told of it; what can be done about it besides. */
export function failure(error: unknown): string {
  const hint = error instanceof UserError && error.hint ? ` (${error.hint})` : "";
  return `${JSON.stringify({ error: `${errorText(error)}${hint}` })}\n`;
}

export interface Status {
  dns_search_domains: string[];
  dns_server_ips: string[];
  interfaces: Record<string, { mac_address: string; subnets: { gateway: string | null; ipnet: string }[] }>;
}

/** The answer for one network. `names`: resolvers and the domain that they know, where the network has some. */
export function statusOf(
  ifName: string,
  result: Result,
  names: { servers: string[]; search: string[] } = { servers: [], search: [] },
): Status {
  const own = result.interfaces.find(one => one.name === ifName && one.sandbox !== undefined);
  return {
    dns_search_domains: names.search,
    dns_server_ips: names.servers,
    interfaces: {
      [ifName]: {
        mac_address: own?.mac ?? "",
        subnets: result.ips.map(({ address, gateway }) => ({
          gateway: gateway === undefined ? null : formatIP(parseIP(gateway)!),
          ipnet: formatCidr(parseCidr(address)!),
        })),
      },
    },
  };
}
