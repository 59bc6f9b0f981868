import { UserError } from "../../base/errors.ts";
import { dependents, removeContainer } from "../../container/remove.ts";
import { removePod } from "../../pod/remove.ts";
import { type Command, forEach, print } from "../command.ts";
import { selectFiltered } from "../container-filters.ts";
import { allFlag, CIDFILE, FILTER, LATEST } from "../select.ts";

export const rm: Command = {
  summary: "Remove one or more containers",
  usage: "[options] CONTAINER [CONTAINER...]",
  flags: [
    allFlag("Remove all containers"),
    CIDFILE,
    { long: "depend", kind: "bool", help: "Remove the container and all containers that depend on it" },
    { ...FILTER, short: undefined },
    { long: "force", short: "f", kind: "bool", help: "Force removal of a running or unusable container" },
    { long: "ignore", short: "i", kind: "bool", help: "Ignore errors when a specified container is missing" },
    LATEST,
    { long: "time", short: "t", kind: "int", help: "Seconds to wait for stop before killing the container" },
    {
      long: "volumes",
      short: "v",
      kind: "bool",
      help: "Remove anonymous volumes associated with the container",
    },
  ],
  async run(invocation) {
    const { flags } = invocation;
    const engine = await invocation.engine();
    const force = flags.bool("force");
    if (flags.has("time") && !force)
      throw new UserError("--force option must be specified to use the --time option");
    const names = selectFiltered(invocation, engine, {
      missing: "you must provide at least one name or id",
      lenient: true,
    });
    const unknown =
      force || flags.bool("ignore") ? undefined : names.find(name => !engine.containers.find(name));
    if (unknown !== undefined)
      throw new UserError(
        `no container with name or ID ${JSON.stringify(unknown)} found: no such container`,
        {
          exitCode: 1,
        },
      );
    return forEach(names, async name => {
      const container = engine.containers.find(name);
      if (!container) return;
      const { pod, infra } = container.config;
      // All containers are those of pods too, and none of these is left then.
      if (infra && flags.bool("all")) {
        // Why another one is still there has been told.
        if (engine.containers.ofPod(pod!).length > 1) return;
        await removePod(engine, pod!, { force, time: flags.number("time") });
        print(name);
        return;
      }
      if (flags.bool("depend"))
        for (const one of dependents(engine, container.config.id)) {
          await removeContainer(engine, one, {
            force,
            volumes: flags.bool("volumes"),
            time: flags.number("time"),
          });
          print(one);
        }
      try {
        await removeContainer(engine, container.config.id, {
          force,
          volumes: flags.bool("volumes") || container.config.remove,
          time: flags.number("time"),
        });
      } catch (error) {
        // Another command was faster.
        if ((force || flags.bool("ignore")) && error instanceof UserError && error.status === 404) return;
        throw error;
      }
      print(name);
    });
  },
};
