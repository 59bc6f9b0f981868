/** `netavark`: podman's network backend, on our network code. Theory: this room's README. */
import { readFileSync } from "node:fs";
import { writeErr, writeOut } from "../base/stdio.ts";
import { ignoreSignals, SIGNALS } from "../sys/process.ts";
import { type Command, parseCommandLine, UsageError } from "./command-line.ts";

/** Runs one command; gives the exit code. */
export async function netavarkMain(argv: readonly string[]): Promise<number> {
  let command: Command;
  try {
    command = parseCommandLine(argv);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    writeErr(`${error.message}\n`);
    return 2;
  }
  try {
    const answer = await run(command);
    if (answer !== undefined) writeOut(answer);
    return 0;
  } catch (error) {
    // Whoever called reads it from there, and tells it.
    writeOut((await import("./status.ts")).failure(error));
    return 1;
  }
}

async function run(command: Command): Promise<string | undefined> {
  if ("text" in command) return command.text;
  const input = () => readFileSync(("file" in command && command.file) || 0, "utf8");
  if (command.name === "create")
    return `${JSON.stringify((await import("./create.ts")).createNetwork(input()))}\n`;
  if (command.name === "update") {
    const [{ Place }, { NameBook }] = await Promise.all([import("./place.ts"), import("./names.ts")]);
    const place = Place.of(command.config, command.rootless);
    await new NameBook(place).update(command.network, command.servers);
    return undefined;
  }
  const { Attachments, Place, readRequest } = await import("./executable.ts");
  const attachments = new Attachments(Place.of(command.config, command.rootless), command);
  if (command.name === "setup")
    return `${JSON.stringify(await attachments.setUp(command.netns, readRequest(input())))}\n`;
  // Half a removal would be worse than a late end.
  ignoreSignals([SIGNALS.INT!, SIGNALS.TERM!]);
  await attachments.tearDown(command.netns, readRequest(input()));
  return undefined;
}
