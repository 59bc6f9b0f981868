/** DNS at the guest's DNS address: whichever of the host's resolvers answers, whatever its file says at the moment. */
import { expect, test } from "bun:test";
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import packet from "dns-packet";
import { SOCK } from "../../src/sys/socket.ts";
import { until } from "../support/await.ts";
import { resolver } from "./host-resolver.ts";
import { TestSocket } from "./test-socket.ts";
import { OUTSIDE, World } from "./world.ts";

const query = (name: string) => {
  const encoded = packet.encode({
    type: "query",
    id: 4711,
    flags: packet.RECURSION_DESIRED,
    questions: [{ type: "A", name }],
  });
  const buffer = new Uint8Array(new ArrayBuffer(encoded.length));
  buffer.set(encoded);
  return buffer;
};

type Answer = { data: string };

/** Asks by UDP from the guest; the answer's address or its error. Not blocking: the resolvers are in this process. */
function ask(world: World, name = "example.org", server = "10.0.2.3"): Promise<string> {
  return new Promise((resolve, reject) => {
    const { socket } = world.guest.run(() => ({
      socket: Bun.udpSocket({
        hostname: server.includes(":") ? "::" : "0.0.0.0",
        connect: { hostname: server, port: 53 },
        socket: {
          data(client, data) {
            client.close();
            const message = packet.decode(data);
            expect(message.id).toBe(4711);
            expect(message.questions?.[0]?.name).toBe(name);
            resolve(
              (message.answers?.[0] as Answer | undefined)?.data ?? (message as { rcode: string }).rcode,
            );
          },
          error: (_, error) => reject(error),
        },
      }),
    }));
    socket.then(client => client.send(query(name)), reject);
  });
}

/** The address that the guest is told by TCP (RFC 1035, 4.2.2: two bytes of length come first), in however many pieces. */
async function askByTcp(world: World): Promise<unknown> {
  const message = query("by.tcp.example");
  let heard = Buffer.alloc(0);
  await new Promise<void>((resolve, reject) => {
    world.guest.run(() => {
      Bun.connect({
        hostname: "10.0.2.3",
        port: 53,
        socket: {
          open: socket => void socket.write(Uint8Array.of(0, message.length, ...message)),
          data: (_socket, data) => {
            heard = Buffer.concat([heard, data]);
            if (heard.length >= 2 && heard.length >= 2 + heard.readUInt16BE(0)) resolve();
          },
          connectError: (_socket, error) => reject(error),
        },
      }).catch(reject);
    });
  });
  return (packet.decode(heard.subarray(2)).answers![0] as Answer).data;
}

test("a resolver of the host's loopback answers, host loopback allowed or not; IPv6 and TCP too", async () => {
  for (const hostLoopback of [true, false]) {
    await using world = await World.create({ hostLoopback });
    await using _ = await resolver(world.host, "127.0.0.1", "198.51.100.1");
    expect(await ask(world)).toBe("198.51.100.1");
    expect(await ask(world, "a.much.longer.name.example.net", "fd00::3")).toBe("198.51.100.1");
    expect(await askByTcp(world)).toBe("198.51.100.1");
  }
}, 60_000);

test("the next resolver answers when one is silent, refuses, or fails; by TCP when one is not there", async () => {
  await using world = await World.create();
  writeFileSync(world.resolvConf, `nameserver 127.0.0.2\nnameserver ${OUTSIDE}\n`);
  await using good = await resolver(world.outside, OUTSIDE, "198.51.100.2");
  // Nobody is at 127.0.0.2.
  await until(
    async () => (await ask(world)) === "198.51.100.2",
    () => "the second resolver is not asked",
  );
  expect(await askByTcp(world)).toBe("198.51.100.2");
  for (const kind of ["silence", "SERVFAIL"]) {
    await using first = await resolver(world.host, "127.0.0.2", kind);
    const before = good.asked;
    expect(await ask(world)).toBe("198.51.100.2");
    expect(first.asked).toBeGreaterThan(0);
    expect(good.asked).toBeGreaterThan(before);
  }
}, 60_000);

test("when no resolver is there the guest hears of it, and does not wait", async () => {
  await using world = await World.create();
  expect(await ask(world)).toBe("SERVFAIL");
}, 60_000);

test("resolv.conf is followed: written anew, renamed into place, behind a link", async () => {
  await using world = await World.create();
  await using _1 = await resolver(world.host, "127.0.0.11", "198.51.100.11");
  await using _2 = await resolver(world.host, "127.0.0.12", "198.51.100.12");
  await using _3 = await resolver(world.host, "127.0.0.13", "198.51.100.13");
  const answers = (address: string) =>
    until(
      async () => (await ask(world)) === address,
      () => `${address} is not asked`,
    );
  writeFileSync(world.resolvConf, "nameserver 127.0.0.11\n");
  await answers("198.51.100.11");
  writeFileSync(`${world.resolvConf}.new`, "nameserver 127.0.0.12\n");
  renameSync(`${world.resolvConf}.new`, world.resolvConf);
  await answers("198.51.100.12");
  const elsewhere = join(dirname(world.resolvConf), "run", "stub.conf");
  mkdirSync(dirname(elsewhere));
  writeFileSync(elsewhere, "nameserver 127.0.0.13\n");
  rmSync(world.resolvConf);
  symlinkSync("run/stub.conf", world.resolvConf);
  await answers("198.51.100.13");
  writeFileSync(`${elsewhere}.new`, "nameserver 127.0.0.11\n");
  renameSync(`${elsewhere}.new`, elsewhere);
  await answers("198.51.100.11");
}, 60_000);

test("an answer with another id or another question is not believed", async () => {
  await using world = await World.create();
  using liar = TestSocket.bound(world.host, "127.0.0.1", 53, SOCK.DGRAM);
  const asked = ask(world);
  // The event loop must turn for the question to leave.
  await until(
    () => liar.waits(),
    () => "the resolver is not asked",
  );
  const { data, io } = liar.receiveFrom();
  const { id, questions } = packet.decode(Buffer.from(data));
  expect(id).not.toBe(4711);
  const respond = (to: number, name: string, address: string) => {
    const encoded = packet.encode({
      type: "response",
      id: to,
      questions: [{ type: "A", name }],
      answers: [{ type: "A", name, data: address }],
    });
    const buffer = new Uint8Array(new ArrayBuffer(encoded.length));
    buffer.set(encoded);
    liar.sendTo(io.peer, buffer);
  };
  respond((id! + 1) & 0xffff, questions![0]!.name, "203.0.113.1");
  respond(id!, "another.example", "203.0.113.2");
  respond(id!, questions![0]!.name, "198.51.100.7");
  expect(await asked).toBe("198.51.100.7");
}, 60_000);
