/** Real sockets inside namespaces: servers that tell who called, and clients that ask. */
import type { TestNetns } from "./netns.ts";

const running: { stop(): void }[] = [];

/** Stops every server and client that this file has started. */
export function stopSockets(): void {
  for (const one of running.splice(0)) one.stop();
}

/** A TCP server in `place` that answers `TAG CLIENT-ADDRESS` and closes. */
export function serveTcp(place: TestNetns, hostname: string, port: number, tag: string): void {
  const server = place.run(() =>
    Bun.listen({
      hostname,
      port,
      socket: {
        open(socket) {
          socket.end(`${tag} ${socket.remoteAddress.replace(/^::ffff:/, "")}`);
        },
        data() {},
      },
    }),
  );
  running.push({ stop: () => server.stop(true) });
}

/** What a TCP server at `hostname` (a literal address) answers to a client in `place`; `"refused"` if nobody listens. */
export function askTcp(place: TestNetns, hostname: string, port: number): Promise<string> {
  return new Promise(resolve => {
    let answer = "";
    place.run(() => {
      Bun.connect({
        hostname,
        port,
        socket: {
          data(_, chunk) {
            answer += chunk.toString();
          },
          close() {
            resolve(answer);
          },
          connectError() {
            resolve("refused");
          },
        },
      }).catch(() => resolve("refused"));
    });
  });
}

/** A UDP server in `place` that answers each datagram with `TAG CLIENT-ADDRESS TEXT` and keeps what came. */
export async function serveUdp(place: TestNetns, hostname: string, port: number, tag: string) {
  const received: string[] = [];
  const waiting: (() => void)[] = [];
  const { server } = place.run(() => ({
    server: Bun.udpSocket({
      hostname,
      port,
      socket: {
        data(socket, data, remotePort, address) {
          received.push(data.toString());
          socket.send(`${tag} ${address} ${data}`, remotePort, address);
          for (const wake of waiting.splice(0)) wake();
        },
      },
    }),
  }));
  const socket = await server;
  running.push({ stop: () => socket.close() });
  return {
    received,
    /** Resolves when `text` has come. */
    async until(text: string): Promise<void> {
      while (!received.includes(text)) await new Promise<void>(wake => waiting.push(wake));
    },
  };
}

/** A UDP client in `place`, of one source port for all of its life. */
export async function udpClient(place: TestNetns, hostname: string, port: number) {
  let answered: (text: string) => void = () => {};
  const { client } = place.run(() => ({
    client: Bun.udpSocket({
      connect: { hostname, port },
      socket: {
        data(_, data) {
          answered(data.toString());
        },
        error() {
          answered("refused");
        },
      },
    }),
  }));
  const socket = await client;
  running.push({ stop: () => socket.close() });
  return {
    send(text: string): void {
      socket.send(text);
    },
    ask(text: string): Promise<string> {
      return new Promise(resolve => {
        answered = resolve;
        socket.send(text);
      });
    },
  };
}

/** Passes TCP connections to `hostname:port` in `place` on to `target`, a port of our own loopback address. */
export function forwardTcp(place: TestNetns, hostname: string, port: number, target: number): Disposable {
  type Side = { other?: Bun.Socket<Side>; waiting: Uint8Array[]; ended: boolean };
  /** Sends what waits; the rest follows when the socket drains. */
  const flush = (socket: Bun.Socket<Side>) => {
    const { waiting } = socket.data;
    for (let piece = waiting.shift(); piece; piece = waiting.shift()) {
      const sent = socket.write(piece);
      if (sent < piece.length) return void waiting.unshift(piece.subarray(Math.max(sent, 0)));
    }
    if (socket.data.ended) socket.end();
  };
  const handler: Bun.SocketHandler<Side> = {
    data(socket, data) {
      const { other } = socket.data;
      if (!other) return;
      other.data.waiting.push(new Uint8Array(data));
      flush(other);
    },
    drain: flush,
    close(socket) {
      const { other } = socket.data;
      if (!other) return;
      other.data.ended = true;
      flush(other);
    },
  };
  const server = place.run(() =>
    Bun.listen<Side>({
      hostname,
      port,
      socket: {
        ...handler,
        async open(client) {
          client.data = { waiting: [], ended: false };
          client.pause();
          const data: Side = { other: client, waiting: [], ended: false };
          try {
            client.data.other = await Bun.connect({
              hostname: "127.0.0.1",
              port: target,
              data,
              socket: handler,
            });
            client.resume();
          } catch {
            client.end();
          }
        },
      },
    }),
  );
  return { [Symbol.dispose]: () => server.stop(true) };
}
