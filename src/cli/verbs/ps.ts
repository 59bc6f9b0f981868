import { UserError } from "../../base/errors.ts";
import { type Container, statusOf } from "../../container/config.ts";
import type { Engine } from "../../container/engine.ts";
import type { Command } from "../command.ts";
import { print } from "../command.ts";
import { filterContainers } from "../container-filters.ts";
import { containerRow, NAMESPACES, type PsRow, psJson } from "../container-row.ts";
import { printListing } from "../format/output.ts";
import { allFlag, FILTER, formatFlag, LATEST } from "../select.ts";

const SORTS: Readonly<Record<string, (a: Container, b: Container) => number>> = {
  command: (a, b) => compare(a.config.command.join(" "), b.config.command.join(" ")),
  created: (a, b) => a.config.created - b.config.created,
  id: (a, b) => compare(a.config.id, b.config.id),
  image: (a, b) => compare(a.config.imageName, b.config.imageName),
  names: (a, b) => compare(a.config.name, b.config.name),
  runningfor: (a, b) => a.config.created - b.config.created,
  status: (a, b) => compare(statusOf(a), statusOf(b)),
};

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

function choose(engine: Engine, flags: Parameters<Command["run"]>[0]["flags"]): Container[] {
  const filters = flags.list("filter");
  const last = flags.bool("latest") ? 1 : flags.number("last");
  const everything =
    flags.bool("all") ||
    (last !== undefined && last > 0) ||
    filters.some(one => /^(status|exited)=/.test(one));
  const newestFirst = filterContainers(engine, engine.containers.list(), filters).filter(
    one => everything || statusOf(one) === "running" || one.phase === "stopping",
  );
  const shown = last !== undefined && last > 0 ? newestFirst.slice(0, last) : newestFirst;
  const key = flags.string("sort") ?? "created";
  const sort = SORTS[key];
  if (!sort)
    throw new UserError(
      `invalid argument ${JSON.stringify(key)} for "--sort" flag: ${JSON.stringify(key)} is not a valid value. Choose from: "${Object.keys(SORTS).join(", ")}"`,
    );
  return shown.toReversed().sort(sort);
}

export const ps: Command = {
  summary: "List containers",
  usage: "[options]",
  flags: [
    allFlag("Show all the containers, default is only running containers"),
    FILTER,
    formatFlag(),
    { long: "last", short: "n", kind: "int", help: "Print the n last created containers (all states)" },
    { ...LATEST, help: "Show the latest container created (all states)" },
    { long: "no-trunc", kind: "bool", help: "Display the extended information" },
    { long: "noheading", kind: "bool", help: "Do not print headers" },
    { long: "ns", kind: "bool", help: "Display namespace information" },
    { long: "pod", short: "p", kind: "bool", help: "Print the ID and name of the pod the containers are in" },
    { long: "quiet", short: "q", kind: "bool", help: "Print the numeric IDs of the containers only" },
    { long: "size", short: "s", kind: "bool", help: "Display the total file sizes" },
    {
      long: "sort",
      kind: "string",
      help: `Sort output by: ${Object.keys(SORTS).join(", ")}`,
      complete: Object.keys(SORTS),
    },
  ],
  outside: flags => !flags.bool("size"),
  async run(invocation) {
    const { flags } = invocation;
    if (flags.bool("quiet") && (flags.bool("size") || flags.bool("ns")))
      throw new UserError("quiet conflicts with size and namespace");
    const engine = await invocation.engine();
    const containers = choose(engine, flags);
    const full = flags.bool("no-trunc");
    if (flags.bool("quiet")) {
      for (const { config } of containers) print(full ? config.id : config.id.slice(0, 12));
      return;
    }
    const size = flags.bool("size");
    const pod = flags.bool("pod") || (flags.string("format") ?? "").includes("PodName");
    const columns = flags.bool("ns")
      ? ["ID", "Names", "Pid", ...NAMESPACES]
      : [
          ...["ID", "Image", "Command", "CreatedHuman", "Status", "Ports", "Names"],
          ...(flags.bool("pod") ? ["Pod", "PodName"] : []),
          ...(size ? ["Size"] : []),
        ];
    printListing<PsRow>({
      name: "list",
      rows: containers.map(one => containerRow(engine, one, { full, size, pod })),
      headings: {
        ID: "CONTAINER ID",
        CreatedHuman: "CREATED",
        CreatedAt: "CREATED",
        RunningFor: "CREATED",
        ImageID: "IMAGE ID",
        Pod: "POD ID",
        PodName: "PODNAME",
        PIDNS: "PIDNS",
      },
      columns,
      format: flags.string("format"),
      noHeading: flags.bool("noheading"),
      json: () => containers.map(one => psJson(engine, one, { size, pod })),
      indent: 2,
    });
  },
};
