import { UserError } from "../../base/errors.ts";
import { CONDITIONS, type Condition, waitContainer } from "../../container/wait.ts";
import { type Command, forEach, print } from "../command.ts";
import { parseDuration } from "../format/human.ts";
import { LATEST, selectNames } from "../select.ts";

export const wait: Command = {
  summary: "Block on one or more containers",
  usage: "[options] CONTAINER [CONTAINER...]",
  states: ["running", "paused", "created"],
  flags: [
    {
      long: "condition",
      kind: "slice",
      help: `Condition to wait on (${CONDITIONS.join(", ")})`,
      complete: CONDITIONS,
    },
    {
      long: "interval",
      short: "i",
      kind: "string",
      help: "Time to wait between two looks (250ms; a number: milliseconds)",
    },
    LATEST,
  ],
  outside: true,
  async run(invocation) {
    const { flags } = invocation;
    const conditions = flags.has("condition") ? flags.list("condition") : ["stopped"];
    for (const one of conditions)
      if (!CONDITIONS.some(known => known === one))
        throw new UserError(`unknown container state: ${one}: invalid argument`);
    const text = flags.string("interval");
    const interval = text === undefined ? undefined : /^\d+$/.test(text) ? Number(text) : parseDuration(text);
    if (text !== undefined && interval === undefined)
      throw new UserError(`time: invalid duration ${JSON.stringify(text)}`);
    const engine = await invocation.engine();
    const names = selectNames(invocation, engine, {
      missing: '"portolan wait" requires a name, id, or the "--latest" flag',
    });
    return forEach(names, async name => {
      const { id } = engine.containers.get(name).config;
      print(String(await waitContainer(engine, id, { conditions: conditions as Condition[], interval })));
    });
  },
};
