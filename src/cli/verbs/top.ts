import { execInContainer } from "../../container/exec.ts";
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
  comm: "COMMAND",
};

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
    const wanted = descriptors(rest);
    // What is no descriptor is meant for the container's own ps(1).
    if (!wanted) return (await execInContainer(engine, container, { command: ["ps", ...rest] })).exitCode;
    printProcesses(topOf(container), wanted);
  },
};

/** The columns that are asked for; undefined where one of the words is none. */
export function descriptors(words: readonly string[]): string[] | undefined {
  const wanted = words.flatMap(word => word.split(",")).map(word => word.toLowerCase());
  return wanted.every(word => word in DESCRIPTORS) ? wanted : undefined;
}

/** Prints a heading and rows (`topOf`) in these columns; in the usual ones where none are named. */
export function printProcesses(
  [heading = [], ...rows]: readonly (readonly string[])[],
  wanted: readonly string[],
): void {
  const cell = (row: readonly string[], word: string) => {
    const text = row[heading.indexOf(DESCRIPTORS[word]!)]!;
    return word === "comm" && row !== heading ? text.split(" ")[0]!.replace(/^.*\//, "") : text;
  };
  const words = wanted.length > 0 ? wanted : Object.keys(DESCRIPTORS).filter(word => word !== "comm");
  printTable([heading, ...rows].map(row => words.map(word => cell(row, word))));
}
