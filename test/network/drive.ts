/** A command in the middle of its work, for tests: carries out what it is told on standard input, a JSON object to a line. */
import { join } from "node:path";
import { errorText, UserError } from "../../src/base/errors.ts";
import { NetdClient } from "../../src/netd/client.ts";
import { HelperSetup } from "../../src/network/helper-setup.ts";
import { readHostNetwork } from "../../src/network/host-network.ts";
import { LocalSetup } from "../../src/network/local-setup.ts";
import { planUserMode } from "../../src/network/user-mode.ts";
import { parseUserMode } from "../../src/network/user-mode-options.ts";
import type { DriverRequest } from "./world.ts";

const [kind, runRoot] = process.argv.slice(2) as ["root" | "user", string];
const MAIN = [process.execPath, join(import.meta.dir, "../../src/main.ts")];

const server = (await NetdClient.open(runRoot, { start: true }))!;
const setup =
  kind === "root" ? new LocalSetup(async () => server) : new HelperSetup(async () => server, MAIN);

async function serve(request: DriverRequest): Promise<unknown> {
  const path = "name" in request ? join(runRoot, "netns", request.name) : "";
  switch (request.do) {
    case "plan":
      return planUserMode(parseUserMode(request.word)!, readHostNetwork());
    case "create":
      return setup.createNetns(path);
    case "join":
      return setup.joinUserMode(path, request.plan, request.name);
    case "lose":
      return server.remove(request.name);
    case "leave":
      await server.remove(request.name);
      return setup.removeNetns(path);
  }
}

for await (const line of console) {
  if (line === "") break;
  const answer = await serve(JSON.parse(line) as DriverRequest).then(
    value => ({ value: value ?? null }),
    (error: unknown) => ({
      error: errorText(error),
      hint: error instanceof UserError ? error.hint : undefined,
    }),
  );
  console.log(JSON.stringify(answer));
}
setup.close();
for (const { key } of await server.list()) await server.remove(key);
server[Symbol.dispose]();
process.exit(0);
