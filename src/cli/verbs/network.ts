import { UserError } from "../../base/errors.ts";
import type { NetworkInfo } from "../../network/service.ts";
import { type Command, print } from "../command.ts";
import { printListing } from "../format/output.ts";
import { FILTER, formatFlag, hasLabel, parseFilters } from "../select.ts";

function matches(texts: readonly string[]): (network: NetworkInfo) => boolean {
  const tests: ((network: NetworkInfo) => boolean)[] = [];
  for (const [key, values] of parseFilters(texts))
    if (key === "name") tests.push(network => values.some(value => network.name.includes(value)));
    else if (key === "id") tests.push(network => values.some(value => network.id.startsWith(value)));
    else if (key === "driver") tests.push(network => values.includes(network.driver));
    else if (key === "label")
      tests.push(network => values.every(value => hasLabel(network.labels ?? {}, value)));
    else throw new UserError(`invalid filter ${JSON.stringify(key)}`);
  return network => tests.every(test => test(network));
}

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
    const networks = engine.networks.list().filter(matches(flags.list("filter")));
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
        Labels: one.labels ?? {},
        Subnets: (one.subnets ?? []).map(subnet => subnet.subnet),
        NetworkInterface: one.network_interface ?? "",
        Internal: one.internal,
        IPv6Enabled: one.ipv6_enabled,
        DNSEnabled: one.dns_enabled,
        Created: one.created,
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
