import { renameContainer } from "../../container/rename.ts";
import { type Command, requireArgs } from "../command.ts";

export const rename: Command = {
  summary: "Rename an existing container",
  usage: "CONTAINER NAME",
  flags: [],
  async run(invocation) {
    requireArgs(invocation, 2, 2);
    const engine = await invocation.engine();
    const [container, name] = invocation.args as [string, string];
    await renameContainer(engine, engine.containers.get(container).config.id, name);
  },
};
