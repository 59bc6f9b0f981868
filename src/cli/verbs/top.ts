import { execInContainer } from "../../container/exec.ts";
import { parseDescriptors, topOf } from "../../container/top.ts";
import type { Command } from "../command.ts";
import { printTable } from "../format/output.ts";
import { LATEST, selectOne } from "../select.ts";

export const top: Command = {
  summary: "Display the running processes of a container",
  usage: "[options] CONTAINER [FORMAT-DESCRIPTORS|ARGS]",
  states: ["running"],
  interspersed: false,
  flags: [LATEST],
  async run(invocation) {
    const engine = await invocation.engine();
    const missing = "you must provide the name or id of a running container";
    const { container, rest } = selectOne(invocation, engine, missing);
    const wanted = parseDescriptors(rest);
    // What is no descriptor is meant for the container's own ps(1).
    if (!wanted) return (await execInContainer(engine, container, { command: ["ps", ...rest] })).exitCode;
    printTable(topOf(container, wanted));
    return 0;
  },
};
