/**
 * Latency of a new TCP connection to a published port, where it is the only one and where 5,000 are published: two
 * throw-away hosts with a container each, called from outside by turns, connection by connection, so that whatever else
 * the machine does falls on both. `bun run bench/ports.ts [connections]`. Goal: within 10%.
 */
import { FirewallBatch } from "../src/firewall/batch.ts";
import { publish } from "../src/firewall/ports.ts";
import { closeFd } from "../src/sys/fd.ts";
import { AF, connect, inetAddress, SOCK, socket } from "../src/sys/socket.ts";
import { parseIP } from "../src/wire/addr.ts";
import { World } from "../test/cni/world.ts";
import type { TestNetns } from "../test/support/netns.ts";
import { median, printVerdict } from "./support/measure.ts";

const MANY = 5000;
const FIRST_PORT = 20000;
/** Connections made ahead of being timed, so that no namespace is entered in between. */
const BATCH = 100;
/** Connections that warm up. */
const WARM_UP = 500;
const GOAL = 1.1;

/** A server in a container behind `count` published ports, and where it is called from. */
class Contender implements AsyncDisposable {
  readonly times: number[] = [];
  private constructor(
    readonly count: number,
    readonly world: World,
    readonly outside: TestNetns,
    private readonly server: Bun.Subprocess<"ignore", "pipe", "inherit">,
  ) {}

  static async create(count: number): Promise<Contender> {
    const world = new World();
    const outside = world.outside();
    const container = world.container();
    const result = world.step({
      do: "add",
      list: world.list(),
      attachment: world.attachment("bench", container.path),
    })!;
    const address = result.ips[0]!.address.split("/")[0]!;
    const target = { version: 4, address, network: { address: "10.77.0.0", length: 24 } } as const;
    const ports = Array.from({ length: count }, (_, index) => ({
      protocol: "tcp" as const,
      hostPort: FIRST_PORT + index,
      containerPort: 80,
      count: 1,
    }));
    world.host.run(() => {
      const batch = new FirewallBatch();
      batch.add(...publish("ports", target, ports));
      batch.commit();
    });
    const program = `Bun.listen({ hostname: "0.0.0.0", port: 80, socket: { open(s) { s.end(); }, data() {} } }); console.log("ready")`;
    const server = container.run(() =>
      Bun.spawn([process.execPath, "-e", program], { stdin: "ignore", stdout: "pipe", stderr: "inherit" }),
    );
    await server.stdout.getReader().read();
    return new Contender(count, world, outside, server);
  }

  sockets(): number[] {
    return this.outside.run(() => Array.from({ length: BATCH }, () => socket(AF.INET, SOCK.STREAM)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.kill();
    await this.server.exited;
    this.world[Symbol.dispose]();
  }
}

/** The port that both publish. */
const TARGET = inetAddress(parseIP("192.0.2.1")!, FIRST_PORT);

/** Microseconds from SYN to SYN-ACK. */
function time(fd: number): number {
  const start = Bun.nanoseconds();
  connect(fd, TARGET);
  return (Bun.nanoseconds() - start) / 1000;
}

const total = Number(process.argv[2] ?? 10_000);
await using one = await Contender.create(1);
await using many = await Contender.create(MANY);
for (let done = 0; done < total; done += BATCH) {
  const [toOne, toMany] = [one.sockets(), many.sockets()];
  for (let index = 0; index < BATCH; index++) {
    // Who comes second finds the processor's caches warmer: each is that every other time.
    const order = [() => one.times.push(time(toOne[index]!)), () => many.times.push(time(toMany[index]!))];
    for (const step of index % 2 ? order : order.toReversed()) step();
  }
  for (const fd of [...toOne, ...toMany]) closeFd(fd);
}
const [first, second] = [one, many].map(({ count, times }) => {
  const counted = times.slice(WARM_UP);
  console.log(
    `${String(count).padStart(5)} published ports: new connection median ${median(counted).toFixed(1)} µs, min ${Math.min(...counted).toFixed(1)} µs`,
  );
  return median(counted);
});
printVerdict(`new connection, ${MANY} published ports`, second! / first!, GOAL);
