/** A command in the middle of its work, for tests: carries out what it is told on standard input, a JSON object to a line. */
import { join } from "node:path";
import { errorText, UserError } from "../../src/base/errors.ts";
import { NetdClient } from "../../src/netd/client.ts";
import { HelperSetup } from "../../src/network/helper-setup.ts";
import { readHostNetwork } from "../../src/network/host-network.ts";
import { LocalSetup } from "../../src/network/local-setup.ts";
import { bindPublished, closeListeners, type Listeners } from "../../src/network/published.ts";
import { NetworkService } from "../../src/network/service.ts";
import { planUserMode } from "../../src/network/user-mode.ts";
import { parseUserMode } from "../../src/network/user-mode-options.ts";
import { lock } from "../../src/sys/flock.ts";
import * as netns from "../../src/sys/netns.ts";
import type { DriverRequest } from "./world.ts";

const [kind, runRoot] = process.argv.slice(2) as ["root" | "user", string];
const service = { configDirectory: join(runRoot, "net.d"), stateDirectory: join(runRoot, "cni") };
const netd = (await NetdClient.open(runRoot, { start: true }))!;
const openNetd = async () => netd;
const setup =
  kind === "root"
    ? new LocalSetup(() => new NetworkService(service), openNetd)
    : new HelperSetup({ runRoot, openNetd, service });

async function serve(request: DriverRequest): Promise<unknown> {
  const path = "name" in request ? join(runRoot, "netns", request.name) : "";
  switch (request.do) {
    case "lock":
      lock(join(runRoot, "locks", "command"));
      return;
    case "plan":
      return planUserMode(parseUserMode(request.word)!, readHostNetwork());
    case "create":
      return setup.createNetns(path);
    case "join": {
      const { name, plan, ports = [] } = request;
      return withPorts(ports, async listeners => {
        await setup.joinUserMode(path, plan, name);
        for (const [index, { family, settings, fds }] of listeners.entries()) {
          const guestAddr = family === 6 ? plan.guest.ipv6 : plan.guest.ipv4;
          await netd.addPorts(`${name}:${index}`, name, { ...settings, guestAddr }, fds);
        }
      });
    }
    case "attach": {
      const { name, network, ports = [] } = request;
      const attachment = {
        containerId: name,
        containerName: name,
        netns: path,
        network,
        ifName: "eth0",
        ports,
      };
      return withPorts(ports, listeners => setup.attach(attachment, listeners));
    }
    case "detach":
      return setup.detach(request.name, [{ network: request.network, ifName: "eth0" }], path);
    case "lose":
      return netd.remove(request.name);
    case "leave":
      await netd.remove(request.name);
      return netns.remove(path);
    case "orders":
      return (await netd.list()).map(({ key }) => key);
  }
}

async function withPorts<T>(
  ports: Parameters<typeof bindPublished>[0],
  work: (listeners: Listeners[]) => Promise<T>,
): Promise<T> {
  const { listeners } = bindPublished(ports);
  try {
    return await work(listeners);
  } finally {
    closeListeners(listeners);
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
for (const { key } of await netd.list()) await netd.remove(key);
netd[Symbol.dispose]();
process.exit(0);
