/**
 * Latency of a new TCP connection to a published port, with 1 port published and with 5,000, in turns, from outside
 * through a throw-away host into a container. `bun run bench/ports.ts [connections]`. Goal: within 10%.
 */
import { FirewallBatch } from "../src/firewall/batch.ts";
import { publish } from "../src/firewall/ports.ts";
import { closeFd } from "../src/sys/fd.ts";
import { AF, connect, inetAddress, SOCK, socket } from "../src/sys/socket.ts";
import { parseIP } from "../src/wire/addr.ts";
import { World } from "../test/cni/world.ts";
import { median, printVerdict } from "./support/measure.ts";

const MANY = 5000;
const FIRST_PORT = 20000;
const ROUNDS = 10;
const GOAL = 1.1;

/** Time from SYN to SYN-ACK of each connection, in microseconds. */
function connections(count: number, target: Uint8Array): number[] {
  return Array.from({ length: count }, () => {
    const fd = socket(AF.INET, SOCK.STREAM);
    const start = Bun.nanoseconds();
    connect(fd, target);
    const took = (Bun.nanoseconds() - start) / 1000;
    closeFd(fd);
    return took;
  });
}

const total = Number(process.argv[2] ?? 4000);
using world = new World();
const outside = world.outside();
const container = world.container();
const list = world.list();
const result = world.step({ do: "add", list, attachment: world.attachment("bench", container.path) })!;
const ip = result.ips[0]!.address.split("/")[0]!;
const target = { version: 4, address: ip, network: { address: "10.77.0.0", length: 24 } } as const;

const server = container.run(() =>
  Bun.spawn(
    [
      process.execPath,
      "-e",
      `Bun.listen({ hostname: "0.0.0.0", port: 80, socket: { open(s) { s.end(); }, data() {} } }); console.log("ready")`,
    ],
    { stdout: "pipe", stderr: "inherit" },
  ),
);
try {
  await server.stdout.getReader().read();
  const times = new Map<number, number[]>([
    [1, []],
    [MANY, []],
  ]);
  const last = FIRST_PORT + MANY - 1;
  for (let round = -1; round < ROUNDS; round++)
    for (const [count, all] of times) {
      const ports = Array.from({ length: count }, (_, index) => ({
        protocol: "tcp" as const,
        hostPort: last - index,
        containerPort: 80,
        count: 1,
      }));
      world.host.run(() => {
        const batch = new FirewallBatch();
        batch.remove("ports");
        batch.commit();
        batch.add(...publish("ports", target, ports));
        batch.commit();
      });
      const took = outside.run(() =>
        connections(total / ROUNDS / 2, inetAddress(parseIP("192.0.2.1")!, last)),
      );
      // The first round warms up.
      if (round >= 0) all.push(...took);
    }
  const [one, many] = [...times].map(([count, all]) => {
    console.log(
      `${String(count).padStart(5)} published ports: new connection median ${median(all).toFixed(1)} µs, min ${Math.min(...all).toFixed(1)} µs`,
    );
    return median(all);
  });
  printVerdict(`new connection, ${MANY} published ports`, many! / one!, GOAL);
} finally {
  server.kill();
  await server.exited;
}
