/** Publishes a port and takes it back, again and again: `come-and-go.ts ID NUMBER ROUNDS`. */
import { FirewallBatch } from "../../src/firewall/batch.ts";
import { isolated } from "../../src/firewall/isolation.ts";
import { publish } from "../../src/firewall/ports.ts";

const [id, number, rounds] = process.argv.slice(2);
const target = {
  version: 4,
  address: `10.88.0.${10 + Number(number)}`,
  network: { address: "10.88.0.0", length: 16 },
} as const;
try {
  for (let round = 0; round < Number(rounds); round++) {
    const batch = new FirewallBatch();
    const port = { protocol: "tcp", hostPort: 8000 + Number(number), containerPort: 80, count: 1 } as const;
    batch.add(...publish(id!, target, [port]), ...isolated(id!, "br0", target, "same-bridge"));
    batch.commit();
    batch.remove(id!);
    batch.commit();
  }
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
