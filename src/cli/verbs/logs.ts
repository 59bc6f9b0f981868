import { UserError } from "../../base/errors.ts";
import { writeErr, writeOut } from "../../base/stdio.ts";
import type { Container } from "../../container/config.ts";
import type { Engine } from "../../container/engine.ts";
import { type LogLine, readLogs } from "../../container/logs.ts";
import type { Command } from "../command.ts";
import type { Flag, Values } from "../flags.ts";
import { parseTime } from "../format/human.ts";
import { LATEST, selectNames } from "../select.ts";

/** What `logs` and `pod logs` may be asked. */
export const LOG_FLAGS: readonly Flag[] = [
  { long: "color", kind: "bool", help: "Output the logs of each container in a colour of its own" },
  { long: "follow", short: "f", kind: "bool", help: "Follow log output" },
  {
    long: "names",
    short: "n",
    kind: "bool",
    help: "Output the container names instead of the container IDs in the log",
  },
  { long: "since", kind: "string", help: "Show logs since TIMESTAMP or DURATION ago" },
  { long: "tail", kind: "int", help: "Output the specified number of LINES at the end of the logs" },
  { long: "timestamps", short: "t", kind: "bool", help: "Output the timestamps in the log" },
  { long: "until", kind: "string", help: "Show logs until TIMESTAMP or DURATION from now" },
];

/** Foreground colours of ECMA-48 (SGR), in the order in which containers get them. */
const COLOURS = [37, 31, 32, 33, 34, 35, 36];

export interface LogOptions {
  color: boolean;
  follow: boolean;
  tail: number | undefined;
  since: number | undefined;
  until: number | undefined;
  names: boolean;
  timestamps: boolean;
}

export const logs: Command = {
  summary: "Fetch the logs of one or more containers",
  usage: "[options] CONTAINER [CONTAINER...]",
  flags: [...LOG_FLAGS, LATEST],
  outside: true,
  async run(invocation) {
    const wanted = logOptions(invocation.flags);
    const engine = await invocation.engine();
    const missing = "specify at least one container name or ID to log";
    const names = selectNames(invocation, engine, { missing });
    await showLogs(
      engine,
      names.map(name => engine.containers.get(name)),
      wanted,
    );
  },
};

/** What the flags ask for. */
export function logOptions(flags: Values): LogOptions {
  const at = (name: string) => {
    const text = flags.string(name);
    if (text === undefined) return undefined;
    // As Podman has it, a duration is back from now for --since, and on from now for --until.
    const time = parseTime(text, Date.now(), name === "since" ? -1 : 1);
    if (time === undefined)
      throw new UserError(`parsing --${name} ${JSON.stringify(text)}: unable to interpret time value`);
    return time;
  };
  return {
    color: flags.bool("color"),
    follow: flags.bool("follow"),
    tail: flags.number("tail"),
    since: at("since"),
    until: at("until"),
    names: flags.bool("names"),
    timestamps: flags.bool("timestamps"),
  };
}

/** Prints the logs of containers; where they are several, each line says whose it is. */
export async function showLogs(
  engine: Engine,
  containers: readonly Container[],
  { color, names, timestamps, ...options }: LogOptions,
): Promise<void> {
  const atStart = { stdout: true, stderr: true };
  const show = (line: LogLine, label: string, colour: number | undefined) => {
    const isStart = atStart[line.stream];
    atStart[line.stream] = !line.partial;
    const name = containers.length > 1 ? `${label} ` : "";
    const time = timestamps ? `${line.time.replace("+00:00", "Z")} ` : "";
    const text = `${isStart ? name + time : ""}${line.text}`;
    (line.stream === "stdout" ? writeOut : writeErr)(
      `${colour === undefined ? text : `\x1b[${colour}m${text}\x1b[0m`}${line.partial ? "" : "\n"}`,
    );
  };
  await Promise.all(
    containers.map(async (container, index) => {
      const colour = color ? COLOURS[index % COLOURS.length] : undefined;
      const label = names ? container.config.name : container.config.id.slice(0, 12);
      for await (const line of readLogs(engine, container, options)) show(line, label, colour);
    }),
  );
}
