import { UserError } from "../../base/errors.ts";
import type { Engine } from "../../container/engine.ts";
import { randomId } from "../../container/names.ts";
import { removeContainer } from "../../container/remove.ts";
import { containersOfVolume } from "../../container/usage.ts";
import type { Volume } from "../../container/volume.ts";
import { recordEvent } from "../../state/events.ts";
import { type Command, forEach, print, requireArgs } from "../command.ts";
import { printListing } from "../format/output.ts";
import { allFlag, FILTER, formatFlag, hasLabel, parseFilters } from "../select.ts";
import { volumeJson } from "../volume-row.ts";

export function pairs(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map(text => {
      const equals = text.indexOf("=");
      return equals < 0 ? [text, ""] : [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );
}

/** The volumes that every `--filter` lets through. */
export function filterVolumes(engine: Engine, texts: readonly string[]): Volume[] {
  const tests: ((volume: Volume) => boolean)[] = [];
  for (const [key, values] of parseFilters(texts))
    for (const value of values) {
      const used = (volume: Volume) => containersOfVolume(engine, volume.name).length > 0;
      if (key === "name") tests.push(volume => volume.name.includes(value));
      else if (key === "label") tests.push(volume => hasLabel(volume.labels, value));
      else if (key === "dangling") tests.push(volume => !used(volume) === (value === "true"));
      else if (key === "driver") tests.push(() => value === "local");
      else if (key === "anonymous") tests.push(volume => volume.anonymous === (value === "true"));
      else throw new UserError(`${JSON.stringify(key)} is an invalid volume filter`);
    }
  return engine.volumes.list().filter(volume => tests.every(test => test(volume)));
}

export function removeVolume(engine: Engine, name: string): void {
  engine.volumes.remove(name);
  recordEvent(engine.db, { type: "volume", status: "remove", id: name, name });
}

export const volumeCreate: Command = {
  summary: "Create a new volume",
  usage: "[options] [NAME]",
  flags: [
    { long: "driver", short: "d", kind: "string", help: "Volume driver (local)" },
    { long: "ignore", kind: "bool", help: "Don't fail if the volume exists already" },
    { long: "label", short: "l", kind: "array", help: "Set metadata for a volume" },
    { long: "opt", short: "o", kind: "array", help: "Set driver specific options" },
  ],
  outside: true,
  async run(invocation) {
    const { flags, args } = invocation;
    requireArgs(invocation, 0, 1);
    const driver = flags.string("driver") ?? "local";
    if (driver !== "local")
      throw new UserError(`no volume plugin ${JSON.stringify(driver)}: only the driver local is there`);
    const options = pairs(flags.list("opt"));
    const [unknown] = Object.keys(options);
    if (unknown !== undefined)
      throw new UserError(`invalid mount option ${unknown} for driver 'local': not supported`);
    const engine = await invocation.engine();
    const name = args[0] ?? randomId();
    if (!(flags.bool("ignore") && engine.volumes.find(name))) {
      engine.volumes.create(name, { labels: pairs(flags.list("label")), options });
      recordEvent(engine.db, { type: "volume", status: "create", id: name, name });
    }
    print(name);
  },
};

export const volumeList: Command = {
  summary: "List volumes",
  usage: "[options]",
  flags: [
    FILTER,
    formatFlag(),
    { long: "noheading", short: "n", kind: "bool", help: "Do not print headers" },
    { long: "quiet", short: "q", kind: "bool", help: "Print volume names only" },
  ],
  outside: true,
  async run(invocation) {
    const { flags } = invocation;
    const engine = await invocation.engine();
    const volumes = filterVolumes(engine, flags.list("filter"));
    if (flags.bool("quiet")) {
      for (const { name } of volumes) print(name);
      return;
    }
    if (volumes.length === 0 && !flags.has("format")) return;
    printListing({
      name: "list",
      rows: volumes.map(volume => volumeJson(engine, volume)),
      headings: { Name: "VOLUME NAME" },
      columns: ["Driver", "Name"],
      format: flags.string("format"),
      noHeading: flags.bool("noheading"),
      json: () => volumes.map(volume => volumeJson(engine, volume)),
    });
  },
};

export const volumeRemove: Command = {
  summary: "Remove one or more volumes",
  usage: "[options] VOLUME [VOLUME...]",
  flags: [
    allFlag("Remove all volumes"),
    {
      long: "force",
      short: "f",
      kind: "bool",
      help: "Remove a volume by force, with the containers that use it",
    },
    {
      long: "time",
      short: "t",
      kind: "int",
      help: "Seconds to wait before the containers that use it are killed",
    },
  ],
  async run(invocation) {
    const { flags, args } = invocation;
    const all = flags.bool("all");
    if ((args.length === 0) !== all) throw new UserError("choose either one or more volumes or all");
    const engine = await invocation.engine();
    const names = all ? engine.volumes.list().map(one => one.name) : args;
    return forEach(names, async text => {
      if (!engine.volumes.find(text) && flags.bool("force")) return;
      const { name } = findVolume(engine, text);
      const users = containersOfVolume(engine, name);
      if (users.length > 0 && !flags.bool("force"))
        throw new UserError(
          `volume ${name} is being used by the following container(s): ${users.map(one => one.config.id).join(", ")}: volume is being used`,
          { exitCode: 2, status: 409 },
        );
      for (const user of users)
        await removeContainer(engine, user.config.id, { force: true, time: flags.number("time") });
      removeVolume(engine, name);
      print(text);
    });
  },
};

function findVolume(engine: Engine, text: string): Volume {
  try {
    return engine.volumes.get(text);
  } catch (error) {
    if (error instanceof UserError && error.status === 404)
      throw new UserError(error.message, { exitCode: 1, status: 404 });
    throw error;
  }
}
