/** Whether rules could be kept now, for STATUS. */
import { UserError } from "../../base/errors.ts";
import type { Backend } from "../../firewall/backend.ts";
import { hasIptables } from "../../firewall/iptables.ts";
import { tables } from "../../firewall/listing.ts";
import { Firewall } from "../../firewall/transaction.ts";
import { CNI_ERROR, CniError } from "../types.ts";

const unavailable = (why: string) => new CniError(CNI_ERROR.NOT_AVAILABLE, why);

/** Throws a CniError (code 50) where nftables can't be used: no library, no kernel support or no right to. */
export function requireNftables(): void {
  try {
    tables(new Firewall());
  } catch (error) {
    if (error instanceof UserError) throw unavailable(`nftables can't be used: ${error.message}`);
    throw error;
  }
}

/** The same for a backend of masquerading or published ports. */
export function requireBackend(backend: Backend): void {
  if (backend !== "iptables") requireNftables();
  else if (!hasIptables(4))
    throw unavailable("the configuration asks for iptables, and iptables-restore is not there");
}
