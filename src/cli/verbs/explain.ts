import { UserError } from "../../base/errors.ts";
import { describe, describeHost } from "../../explain/describe.ts";
import { explainPath } from "../../explain/explain.ts";
import { answer } from "../../explain/gather.ts";
import { findSender, findTarget, parseTarget } from "../../explain/question.ts";
import { descriptionLines, hostLines, pathLines } from "../../explain/render.ts";
import { type Command, print, requireArgs } from "../command.ts";
import { goJson } from "../format/json.ts";

export const explain: Command = {
  summary: `Tell which way a packet goes from A to B, and where it stops

  A and B are containers, pods, "host", "internet" or addresses. Without B: what A's network is, and by what A can be reached.
  Exit code: 0 when the packet gets there, 1 when it is stopped, 125 for an error.`,
  usage: "[options] A [B[:PORT[/PROTO]]]",
  flags: [{ long: "format", short: "f", kind: "string", help: "Format the output (text or json)" }],
  async run(invocation) {
    requireArgs(invocation, 1, 2);
    const format = invocation.flags.string("format") ?? "text";
    if (format !== "text" && format !== "json")
      throw new UserError(`unknown format ${JSON.stringify(format)}: use text or json`);
    const tell = <T>(found: T, lines: (found: T) => string[]) =>
      print(format === "json" ? goJson(found, 4) : lines(found).join("\n"));
    const [a, b] = invocation.args;
    const asked = b === undefined ? undefined : parseTarget(b);
    const engine = await invocation.engine();
    const from = findSender(engine, a!);
    if (asked) {
      const { name, port, protocol } = asked;
      const to = await findTarget(engine, name);
      const query = { from, to, protocol, ...(port === undefined ? {} : { port }) };
      const found = await answer(engine, facts => explainPath(facts, query));
      tell(found, pathLines);
      return found.reached ? 0 : 1;
    }
    if (from.kind === "container")
      tell(await answer(engine, facts => describe(facts, from.id)), descriptionLines);
    else if (from.kind === "host") tell(await answer(engine, describeHost), hostLines);
    else
      throw new UserError(
        `what is outside can't be told of alone: say where it goes, as in \`${invocation.path} ${a} CONTAINER\``,
      );
    return 0;
  },
};
