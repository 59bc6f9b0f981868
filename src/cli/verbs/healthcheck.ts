import { UserError } from "../../base/errors.ts";
import { checkHealth } from "../../container/health.ts";
import { type Command, print, requireArgs } from "../command.ts";

export const healthcheckRun: Command = {
  summary: "Run the health check of a container",
  usage: "CONTAINER",
  flags: [],
  async run(invocation) {
    requireArgs(invocation, 1, 1);
    const [name] = invocation.args as [string];
    const engine = await invocation.engine();
    const container = engine.containers.find(name);
    if (!container)
      throw new UserError(
        `unable to look up ${name} to perform a health check: no container with name or ID ${JSON.stringify(name)} found: no such container`,
        { status: 404 },
      );
    const { isGood } = await checkHealth(engine, container);
    if (isGood) return 0;
    print("unhealthy");
    return 1;
  },
};
