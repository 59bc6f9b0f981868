/** Who keeps masquerading and published ports: our table, or tables or chains as Go's plugins make them. */
export type Backend = "portolan" | "nftables" | "iptables";
