/** Where traffic leaves from: an address as it stands, or an interface's. */
import { UserError } from "../base/errors.ts";
import { addresses } from "../netlink/address.ts";
import { linkByName } from "../netlink/link.ts";
import { NetlinkSocket } from "../netlink/socket.ts";
import { parseIP } from "../wire/addr.ts";
import { outboundMessage, type SlirpOptions } from "./options.ts";

export interface OutboundAddresses {
  ipv4?: string;
  ipv6?: string;
}

/** The addresses that `--outbound-addr` and `--outbound-addr6` mean, in this thread's network namespace. */
export function outboundAddresses(options: SlirpOptions): OutboundAddresses {
  const found: OutboundAddresses = {};
  if (options.outbound) found.ipv4 = resolve("outbound-addr", options.outbound, 4);
  if (options.outbound6) found.ipv6 = resolve("outbound-addr6", options.outbound6, 6);
  return found;
}

function resolve(option: string, text: string, family: 4 | 6): string {
  if (parseIP(text)) return text;
  using nl = new NetlinkSocket();
  const link = linkByName(nl, text);
  const own = link ? addresses(nl, { index: link.index, family }) : [];
  const best = own.find(({ scope }) => scope === "global") ?? own[0];
  if (!best) throw new UserError(outboundMessage(option, family), { exitCode: 1 });
  return best.ip;
}
