import { UserError } from "../../base/errors.ts";
import type { Engine } from "../../container/engine.ts";
import type { Pod } from "../../container/pod-store.ts";
import { membersOfAll, podState } from "../../pod/members.ts";
import { type Command, print } from "../command.ts";
import type { Values } from "../flags.ts";
import { printListing } from "../format/output.ts";
import { filterPods } from "../pod-filters.ts";
import { type PodEntry, podJson, podRow } from "../pod-row.ts";
import { LATEST_POD } from "../pod-select.ts";
import { FILTER, formatFlag } from "../select.ts";

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

const SORTS: Readonly<Record<string, (a: PodEntry, b: PodEntry) => number>> = {
  created: (a, b) => b.pod.config.created - a.pod.config.created,
  id: (a, b) => compare(a.pod.config.id, b.pod.config.id),
  name: (a, b) => compare(a.pod.config.name, b.pod.config.name),
  number: (a, b) => a.members.all.length - b.members.all.length,
  status: (a, b) => compare(a.state, b.state),
};

function choose(engine: Engine, flags: Values): PodEntry[] {
  const key = flags.string("sort")?.toLowerCase() ?? "created";
  const sort = SORTS[key];
  if (!sort) throw new UserError("invalid option for --sort, options are: id, names, or number");
  const of = membersOfAll(engine.containers.list());
  const entry = (pod: Pod): PodEntry => {
    const members = of(pod);
    return { pod, members, state: podState(members.all) };
  };
  const pods = engine.pods.list();
  const chosen = flags.bool("latest") ? pods.slice(0, 1) : pods;
  return filterPods(engine, chosen.map(entry), flags.list("filter")).sort(sort);
}

export const podPs: Command = {
  summary: "List pods",
  usage: "[options]",
  flags: [
    { long: "ctr-ids", kind: "bool", help: "Display the container UUIDs" },
    { long: "ctr-names", kind: "bool", help: "Display the container names" },
    { long: "ctr-status", kind: "bool", help: "Display the container status" },
    FILTER,
    formatFlag(),
    LATEST_POD,
    { long: "namespace", kind: "bool", help: "Display namespace information of the pod", aliases: ["ns"] },
    { long: "no-trunc", kind: "bool", help: "Do not truncate pod and container IDs" },
    { long: "noheading", kind: "bool", help: "Do not print headers" },
    { long: "quiet", short: "q", kind: "bool", help: "Print the numeric IDs of the pods only" },
    {
      long: "sort",
      kind: "string",
      help: "Sort output by created, id, name, or number",
      complete: ["created", "id", "name", "number", "status"],
    },
  ],
  outside: true,
  async run(invocation) {
    const { flags } = invocation;
    const engine = await invocation.engine();
    const entries = choose(engine, flags);
    if (flags.bool("quiet")) {
      const full = flags.bool("no-trunc") || !flags.has("no-trunc");
      for (const { pod } of entries) print(full ? pod.config.id : pod.config.id.slice(0, 12));
      return;
    }
    const details = [
      ...(flags.bool("ctr-ids") ? ["ContainerIds"] : []),
      ...(flags.bool("ctr-names") ? ["ContainerNames"] : []),
      ...(flags.bool("ctr-status") ? ["ContainerStatuses"] : []),
    ];
    printListing({
      name: "ps",
      rows: entries.map(one => podRow(one, flags.bool("no-trunc"))),
      headings: {
        Id: "POD ID",
        ID: "POD ID",
        InfraID: "INFRA ID",
        InfraId: "INFRA ID",
        NumberOfContainers: "# OF CONTAINERS",
        ContainerIds: "IDS",
        ContainerNames: "NAMES",
        ContainerStatuses: "STATUS",
        Namespace: "NAMESPACES",
      },
      columns: [
        ...["Id", "Name", "Status", "Created", "InfraID"],
        ...(flags.bool("namespace") ? ["Cgroup", "Namespace"] : []),
        ...(details.length > 0 ? details : ["NumberOfContainers"]),
      ],
      format: flags.string("format"),
      noHeading: flags.bool("noheading"),
      json: () => entries.map(podJson),
      indent: 2,
    });
  },
};
