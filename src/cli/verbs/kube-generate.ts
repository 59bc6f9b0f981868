import { writeFileSync } from "node:fs";
import { errorText, hasCode, UserError } from "../../base/errors.ts";
import { writeOut } from "../../base/stdio.ts";
import { generate } from "../../kube/generate.ts";
import { type Command, requireArgs } from "../command.ts";

export const kubeGenerate: Command = {
  summary: "Generate Kubernetes YAML from containers, pods or volumes",
  usage: "[options] {CONTAINER...|POD...|VOLUME...}",
  flags: [
    { long: "filename", short: "f", kind: "string", help: "Write output to the specified path" },
    { long: "service", short: "s", kind: "bool", help: "Generate YAML for a Kubernetes service object" },
  ],
  outside: true,
  async run(invocation) {
    const { flags, args } = invocation;
    requireArgs(invocation, 1);
    const text = generate(await invocation.engine(), args, { service: flags.bool("service") });
    const path = flags.string("filename");
    if (path === undefined) {
      writeOut(text);
      return;
    }
    try {
      writeFileSync(path, text, { flag: "wx" });
    } catch (error) {
      if (hasCode(error, "EEXIST"))
        throw new UserError(`cannot write to ${JSON.stringify(path)}; file exists`);
      throw new UserError(`cannot write to ${JSON.stringify(path)}: ${errorText(error)}`);
    }
  },
};
