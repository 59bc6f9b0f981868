import { systemInfo } from "../../container/info.ts";
import { type Command, print } from "../command.ts";
import { goJson } from "../format/json.ts";
import { printObjects } from "../format/output.ts";
import { formatFlag } from "../select.ts";

export const info: Command = {
  summary: "Display information about the engine and the machine",
  usage: "[options]",
  flags: [formatFlag("f")],
  async run(invocation) {
    const data = await systemInfo(await invocation.engine());
    const format = invocation.flags.string("format");
    if (format === "json") print(goJson(data, 2));
    else if (format !== undefined) printObjects("info", [data], format);
    else print(Bun.YAML.stringify(data, null, 2).trimEnd());
  },
};
