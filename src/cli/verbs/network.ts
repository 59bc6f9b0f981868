import { type Command, print } from "../command.ts";
import { printListing } from "../format/output.ts";
import { filterNetworks } from "../network-filters.ts";
import { FILTER, formatFlag } from "../select.ts";

export const networkList: Command = {
  summary: "List networks",
  usage: "[options]",
  flags: [
    FILTER,
    formatFlag(),
    { long: "no-trunc", kind: "bool", help: "Do not truncate the network ID" },
    { long: "noheading", short: "n", kind: "bool", help: "Do not print headers" },
    { long: "quiet", short: "q", kind: "bool", help: "Display only names" },
  ],
  outside: true,
  async run(invocation) {
    const { flags } = invocation;
    const engine = await invocation.engine();
    const networks = filterNetworks(engine, flags.list("filter"));
    if (flags.bool("quiet")) {
      for (const { name } of networks) print(name);
      return;
    }
    printListing({
      name: "list",
      rows: networks.map(one => ({
        ID: flags.bool("no-trunc") ? one.id : one.id.slice(0, 12),
        Name: one.name,
        Driver: one.driver,
        Labels: Object.entries(one.labels ?? {})
          .map(([key, value]) => `${key}=${value}`)
          .join(","),
        Subnets: (one.subnets ?? []).map(subnet => subnet.subnet),
        NetworkInterface: one.network_interface ?? "",
        Internal: one.internal,
        IPv6Enabled: one.ipv6_enabled,
        DNSEnabled: one.dns_enabled,
        Created: one.created,
        Options: one.options ?? {},
        IPAMOptions: one.ipam_options ?? {},
      })),
      headings: { ID: "NETWORK ID" },
      columns: ["ID", "Name", "Driver"],
      format: flags.string("format"),
      noHeading: flags.bool("noheading"),
      json: () => networks,
      indent: 5,
    });
  },
};
