import { type Command, print } from "../command.ts";
import { goJson } from "../format/json.ts";
import { printObjects } from "../format/output.ts";
import { formatFlag } from "../select.ts";
import { VERSION } from "../version.ts";

/** Go's name of this processor. */
export const ARCH = process.arch === "x64" ? "amd64" : process.arch;

export const version: Command = {
  summary: "Display version information",
  usage: "[options]",
  flags: [formatFlag("f")],
  run({ flags }) {
    const Client = {
      APIVersion: VERSION,
      Version: VERSION,
      BunVersion: Bun.version,
      GitCommit: "",
      OsArch: `linux/${ARCH}`,
      Os: "linux",
    };
    const format = flags.string("format");
    if (format === "json") print(goJson({ Client }, 2));
    else if (format !== undefined)
      printObjects("version", [{ Client, Server: null, Version: VERSION }], format);
    else
      print(
        `Client:       Portolan Engine\nVersion:      ${VERSION}\nAPI Version:  ${VERSION}\nBun Version:  ${Bun.version}\nOS/Arch:      linux/${ARCH}`,
      );
    return 0;
  },
};
