/**
 * The same probes from a guest of ours, from a guest of Debian's slirp4netns, and from the host itself, which shows what is
 * right: a user-mode network should not be noticed.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { SysError } from "../../src/base/errors.ts";
import { setNonBlocking } from "../../src/sys/fd.ts";
import { SOCK } from "../../src/sys/socket.ts";
import { exchange, patternSum } from "../netd/streams.ts";
import { TestSocket } from "../netd/test-socket.ts";
import type { TestNetns } from "../support/netns.ts";
import { OUTSIDE, World } from "./world.ts";

const world = new World();
afterAll(() => world[Symbol.asyncDispose]());

/** What was seen, as text; the name of an error where one came. */
type Probe = (from: TestNetns) => string;

function seen(probe: () => string): string {
  try {
    return probe();
  } catch (error) {
    return error instanceof SysError ? error.code : String(error);
  }
}

const connectTo =
  (address: string, port = 1): Probe =>
  from => {
    using _ = TestSocket.connected(from, address, port);
    return "connected";
  };

/** A pair of connected sockets, one end in the guest, one on the outside. */
function pair(from: TestNetns, use: (client: TestSocket, server: TestSocket) => string): string {
  using listener = TestSocket.bound(world.outside, OUTSIDE);
  using client = TestSocket.connected(from, OUTSIDE, listener.port);
  const { socket } = listener.accept();
  using server = socket;
  return use(client, server);
}

const data = (size: number) => {
  const bytes = new Uint8Array(new ArrayBuffer(size));
  for (let index = 0; index < size; index++) bytes[index] = (index * 31) & 0xff;
  return bytes;
};
const digest = (bytes: Uint8Array) => Bun.hash(bytes).toString(16);

const datagram =
  (size: number): Probe =>
  from => {
    using server = TestSocket.bound(world.outside, OUTSIDE, 0, SOCK.DGRAM);
    using client = TestSocket.connected(from, OUTSIDE, server.port, SOCK.DGRAM);
    client.send(data(size));
    const { data: there, io } = server.receiveFrom();
    server.sendTo(io.peer, there as Uint8Array<ArrayBuffer>);
    const back = client.receive();
    return `${there.length} ${digest(there)} and back ${back.length} ${digest(back)}`;
  };

const transfer =
  (out: number, back: number): Probe =>
  from =>
    pair(from, (client, server) => JSON.stringify(exchange(client, server, out, back)));

const MANY = 2000;

/** All are open before the first speaks; each hears its own number back. */
const atOnce: Probe = from => {
  using listener = TestSocket.bound(world.outside, OUTSIDE);
  const clients = Array.from({ length: MANY }, () => TestSocket.connecting(from, OUTSIDE, listener.port));
  const servers = clients.map(() => listener.accept().socket);
  clients.forEach((client, index) => {
    // A server may hear of the connection before the client does; a blocking send waits for that.
    setNonBlocking(client.fd, false);
    client.send(`${index}`);
  });
  for (const server of servers) server.send(server.receive());
  const right = clients.filter((client, index) => client.text() === `${index}`).length;
  for (const socket of [...clients, ...servers]) socket[Symbol.dispose]();
  return `${right} of ${MANY}`;
};

const PROBES: Record<string, Probe> = {
  "nobody listens": connectTo(OUTSIDE),
  "no way there": connectTo("198.51.100.1"),
  "half a connection: the guest ends first": from =>
    pair(from, (client, server) => {
      client.send(data(100_000));
      client.end();
      const heard = server.rest();
      server.send(`heard ${digest(heard)}`);
      server.end();
      return new TextDecoder().decode(client.rest());
    }),
  "half a connection: the server ends first": from =>
    pair(from, (client, server) => {
      server.send("all");
      server.end();
      const heard = new TextDecoder().decode(client.rest());
      client.send(data(100_000));
      client.end();
      return `${heard} ${digest(server.rest())}`;
    }),
  "a reset by the server": from =>
    pair(from, (client, server) => {
      server.reset();
      return client.text();
    }),
  "a reset by the guest": from =>
    pair(from, (client, server) => {
      client.reset();
      return server.text();
    }),
  "a datagram to nobody": from => {
    using client = TestSocket.connected(from, OUTSIDE, 1, SOCK.DGRAM);
    client.send("anybody?");
    return client.text();
  },
  ...Object.fromEntries(
    [0, 1, 1472, 1473, 8000, 9000, 40_000, 60_000].map(size => [
      `a datagram of ${size} bytes`,
      datagram(size),
    ]),
  ),
  "64 MB out": transfer(64 << 20, 0),
  "64 MB in": transfer(0, 64 << 20),
  "16 MB both ways at once": transfer(16 << 20, 16 << 20),
  [`${MANY} connections at once`]: atOnce,
};

/** What Debian's makes of a probe where that is not what the host itself sees. */
const DEBIAN_DIFFERS: Record<string, string> = {
  // The server hears an orderly end instead.
  "a reset by the guest": "",
};

describe.each([1500, 65520])("MTU %d", mtu => {
  let ours: TestNetns;
  let debian: TestNetns;
  beforeAll(async () => {
    const options = ["-c", `--mtu=${mtu}`];
    ours = (await world.start("ours", options)).guest;
    debian = (await world.start("debian", options)).guest;
  });

  test.each(Object.entries(PROBES))("%s", (name, probe) => {
    const right = seen(() => probe(world.host));
    expect(seen(() => probe(ours))).toBe(right);
    expect(seen(() => probe(debian))).toBe(DEBIAN_DIFFERS[name] ?? right);
  });
});

test("the checksums are those of the bytes that were sent", () => {
  expect(transfer(64 << 20, 0)(world.host)).toContain(patternSum(64 << 20).sum);
});
