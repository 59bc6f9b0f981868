import { UserError } from "../../base/errors.ts";
import { statusOf } from "../../container/config.ts";
import { parseDescriptors, topOf } from "../../container/top.ts";
import { membersOf } from "../../pod/members.ts";
import { type Command, requireArgs } from "../command.ts";
import { printTable } from "../format/output.ts";
import { LATEST_POD, selectPod } from "../pod-select.ts";
import { LOG_FLAGS, logOptions, showLogs } from "./logs.ts";

export const podTop: Command = {
  summary: "Display the running processes of containers in a pod",
  usage: "[options] POD [FORMAT-DESCRIPTORS|ARGS]",
  interspersed: false,
  flags: [LATEST_POD],
  async run(invocation) {
    const engine = await invocation.engine();
    const { pod, rest } = selectPod(invocation, engine, "you must provide the name or id of a running pod");
    const wanted = parseDescriptors(rest);
    if (!wanted) throw new UserError(`unknown descriptor in ${JSON.stringify(rest.join(" "))}`);
    // One in the infra container's pid namespace shows all processes of that.
    const seen = new Set<string>();
    const tables = membersOf(engine, pod).all.flatMap(one => {
      const isSeen = seen.has(one.config.pidMode.replace(/^container:/, ""));
      if (statusOf(one) !== "running" || one.state.pid <= 0 || one.config.infra?.kind === "pins" || isSeen)
        return [];
      seen.add(one.config.id);
      return [topOf(one, wanted)];
    });
    if (tables.length > 0) printTable([tables[0]![0]!, ...tables.flatMap(rows => rows.slice(1))]);
  },
};

export const podLogs: Command = {
  summary: "Fetch logs for pod with one or more containers",
  usage: "[options] POD",
  flags: [
    ...LOG_FLAGS,
    {
      long: "container",
      short: "c",
      kind: "string",
      help: "Show the logs of this container of the pod only",
    },
    LATEST_POD,
  ],
  outside: true,
  async run(invocation) {
    const { flags, args } = invocation;
    const wanted = logOptions(flags);
    if (args.length === 0 && !flags.bool("latest"))
      throw new UserError("specify at least one pod name or ID to log");
    requireArgs(invocation, 0, 1);
    const engine = await invocation.engine();
    const { pod } = selectPod(invocation, engine, "specify at least one pod name or ID to log");
    const { others } = membersOf(engine, pod);
    const name = flags.string("container");
    const id = name === undefined ? undefined : engine.containers.find(name)?.config.id;
    const shown = name === undefined ? others : others.filter(one => one.config.id === id);
    if (name !== undefined && shown.length === 0)
      throw new UserError(`container ${name} is not in pod ${pod.config.name}: no such container`, {
        status: 404,
      });
    await showLogs(engine, shown, wanted);
  },
};
