/**
 * A command that speaks to the network service, for tests: `bun service-client.ts RUNROOT EXECUTABLE`. It gives the tap at
 * descriptor 3 and the listening socket at 4 as orders, where they are there, and prints the keys of all orders.
 */
import { NetdClient } from "../../src/netd/client.ts";
import { GUEST, TAP } from "./service-world.ts";

const [runRoot, executable] = process.argv.slice(2) as [string, string];
using client = (await NetdClient.open(runRoot, { start: true, command: [executable] }))!;
if (process.env.GIVES) {
  const tcp = { proto: "tcp" as const, hostAddr: "127.0.0.1", hostPort: 8080, count: 1 };
  await client.addTap("tap a", TAP, 3);
  await client.addPorts("ports a", "tap a", { ...tcp, guestAddr: GUEST, guestPort: 80 }, [4]);
}
console.log((await client.list()).map(one => one.key).join(", "));
