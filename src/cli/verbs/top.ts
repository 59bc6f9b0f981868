import { UserError } from "../../base/errors.ts";
import { topOf } from "../../container/top.ts";
import type { Command } from "../command.ts";
import { printTable } from "../format/output.ts";
import { LATEST, selectOne } from "../select.ts";

/** Podman's descriptors for the columns that we have. */
const DESCRIPTORS: Readonly<Record<string, string>> = {
  user: "USER",
  pid: "PID",
  ppid: "PPID",
  pcpu: "%CPU",
  etime: "ELAPSED",
  tty: "TTY",
  time: "TIME",
  args: "COMMAND",
};

export const top: Command = {
  summary: "Display the running processes of a container",
  usage: "[options] CONTAINER [FORMAT-DESCRIPTORS]",
  interspersed: false,
  flags: [LATEST],
  async run(invocation) {
    const engine = await invocation.engine();
    const missing = "you must provide the name or id of a running container";
    const { container, rest } = selectOne(invocation, engine, missing);
    const [heading = [], ...rows] = topOf(container);
    const wanted = rest
      .flatMap(word => word.split(","))
      .map(word => {
        const column = DESCRIPTORS[word.toLowerCase()];
        if (!column)
          throw new UserError(
            `unknown descriptor ${JSON.stringify(word)}: choose from ${Object.keys(DESCRIPTORS).join(", ")}`,
          );
        return heading.indexOf(column);
      });
    const columns = wanted.length > 0 ? wanted : heading.map((_, index) => index);
    printTable([heading, ...rows].map(row => columns.map(index => row[index]!)));
  },
};
